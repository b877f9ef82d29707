"""Intervals, paired tests, censored searches and the numbers of attack.json, against closed forms."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy import stats

from galshift.audit.config import EventRate
from galshift.audit.curves import success_by_amplitude, success_by_pixels
from galshift.audit.faults._base import Variant
from galshift.audit.rates import misclassified_per_exposure
from galshift.audit.statistics import flip_curve, mcnemar, query_quartiles
from galshift.audit.summary import compare, latent_distances, latent_ratios, summarise, within_class_spread
from galshift.intervals import wilson_interval

CLASSES = ("merger", "spiral")


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (7, 24), (38, 60), (60, 60), (1, 1000)])
@pytest.mark.parametrize("confidence", [0.95, 0.68])
def test_wilson(k: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(k, n, confidence=confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_nothing_is_known_without_trials() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (2, 9), (0, 6), (30, 12)])
def test_mcnemar(b: int, c: int) -> None:
    first = [True] * b + [False] * c + [True] * 3 + [False] * 4
    second = [False] * b + [True] * c + [True] * 3 + [False] * 4
    found = mcnemar(first, second)
    assert (found["only_first"], found["only_second"], found["both"], found["neither"]) == (b, c, 3, 4)
    # Twice the smaller tail of a fair coin's binomial, at most 1.
    tail = sum(comb(b + c, i) for i in range(min(b, c) + 1)) / 2 ** (b + c)
    assert found["p"] == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(second, first)["p"] == pytest.approx(found["p"])


def test_mcnemar_needs_pairs() -> None:
    with pytest.raises(ValueError, match="length"):
        mcnemar([True], [True, False])


def test_queries_with_failures_censored() -> None:
    # By hand: survival 1 -> 4/5 at 10, then 2 of 4 at risk flip at 20, then a failure at 30.
    queries, flipped = [10, 20, 20, 30, 40], [True, True, True, False, False]
    assert flip_curve(queries, flipped) == [(10, pytest.approx(0.2)), (20, pytest.approx(0.6))]
    assert query_quartiles(queries, flipped) == {"q25": 20, "median": 20, "q75": None}
    assert query_quartiles([5, 5], [False, False]) == {"q25": None, "median": None, "q75": None}


def test_the_flip_curve_is_the_product_limit_estimate() -> None:
    rng = np.random.default_rng(4)
    times, censored = rng.integers(1, 30, 80), rng.random(80) < 0.4
    curve = flip_curve(times, ~censored)
    sample = stats.CensoredData(uncensored=times[~censored], right=times[censored])
    expected = stats.ecdf(sample).cdf
    for queries, share in curve:
        assert share == pytest.approx(float(expected.evaluate(queries)), abs=1e-12)


def test_within_class_spread() -> None:
    features = np.array([[0.0, 0], [2, 0], [10, 0], [10, 4], [5, 5]])
    labels = np.array([0, 0, 1, 1, 2])
    # Squared distances to the class means: 1 + 1 + 4 + 4 + 0, with one degree of freedom for each pair.
    assert within_class_spread(features, labels) == pytest.approx(np.sqrt(10 / 2))
    assert within_class_spread(3 * features, labels) == pytest.approx(3 * np.sqrt(10 / 2))
    assert np.isnan(within_class_spread(features[[0, 2]], labels[[0, 2]]))


def row(name: str, label: str, flipped: bool, *, status: str = "attacked", distance: float = 1.0) -> dict:
    """Return a row as the attack writes it."""
    if status != "attacked":
        return {"id": name, "label": label, "status": status}
    return {
        "id": name,
        "label": label,
        "status": status,
        "flipped": flipped,
        "certified": not flipped,
        "queries": 100,
        "queries_to_flip": 10 if flipped else None,
        "flip_share": 0.5 if flipped else 0.0,
        "latent_distance": distance,
        "variant_flips": [],
    }


def test_distances_are_free_of_the_scale_of_the_features() -> None:
    rows = [row(str(i), "merger", i < 3, distance=float(i + 1)) for i in range(6)]
    scaled = [{**r, "latent_distance": 7 * r["latent_distance"]} for r in rows]
    found = latent_distances(rows, 2.0)
    assert found["successes"] == {"n": 3, "q25": 0.75, "median": 1.0, "q75": 1.25}
    assert found["failures"] == {"n": 3, "q25": 2.25, "median": 2.5, "q75": 2.75}
    for group in ("successes", "failures"):
        assert latent_distances(scaled, 14.0)[group] == pytest.approx(found[group])
    assert latent_distances(rows, float("nan"))["failures"]["median"] is None


def test_ratios_of_latent_distances_with_and_without_failures_and_scale() -> None:
    # Successes go 1 and 3 on the mean, failures 4 and 1: the order turns when failures are counted.
    first = [row(str(i), "merger", i < 2, distance=d) for i, d in enumerate((0.5, 1.5, 4.0))]
    second = [row(str(i), "merger", i < 2, distance=d) for i, d in enumerate((2.0, 4.0, 1.0))]
    found = [latent_distances(rows, spread) for rows, spread in ((first, 2.0), (second, 6.0))]
    assert found[0]["mean_distance"] == {"successes": 1.0, "failures": 4.0, "all": 2.0}
    assert found[1]["all"]["n"] == 3
    ratio = latent_ratios(*found)
    assert ratio == pytest.approx(
        {"successes": 3.0, "all": 7 / 6, "successes_over_spread": 1.0, "all_over_spread": 7 / 18}
    )
    assert set(latent_ratios(latent_distances([], float("nan")), found[1]).values()) == {None}
    pair = compare(["plain", "adapted"], [first, second], [2.0, 6.0])["pairs"][0]
    assert pair["latent_ratio"] == ratio


def test_the_summary_counts_right_answers_only() -> None:
    rows = [row(f"m{i}", "merger", i < 2) for i in range(4)] + [
        row(f"s{i}", "spiral", False) for i in range(5)
    ]
    rows += [
        row("w", "spiral", False, status="already wrong"),
        row("n", "merger", False, status="not finite"),
    ]
    found = summarise(rows, CLASSES, grid={"statement": "x"}, spread=1.0)
    assert (found["n_images"], found["n_attacked"], found["n_flipped"]) == (11, 9, 2)
    assert found["success_rate"] == pytest.approx(2 / 9)
    assert found["clean_accuracy"] == pytest.approx(9 / 10)
    assert found["not_attacked"] == {"already wrong": 1, "not finite": 1}
    assert found["per_class"]["merger"]["success_rate"] == 0.5
    assert found["per_class"]["spiral"]["clean_accuracy"] == pytest.approx(5 / 6)
    assert found["certificate"] == {"statement": "x", "n_certified": 7}
    assert found["queries"]["total"] == 900
    assert found["queries"]["failures_censored"] == 7
    assert found["queries"]["to_flip"] == {"q25": None, "median": None, "q75": None}


def test_what_only_rescaling_flips_is_told_apart() -> None:
    cases = [(True, True), (True, False), (False, False), (False, True)]
    rows = [row(str(i), "merger", f) | {"flipped_locally": local} for i, (f, local) in enumerate(cases)]
    found = summarise(rows, CLASSES, grid=None, spread=1.0)["rescaling"]
    assert found == {"n_flipped": 2, "n_flipped_locally": 2, "n_only_by_rescaling": 1}
    assert summarise([row("a", "merger", True)], CLASSES, grid=None, spread=1.0)["rescaling"] is None


def test_success_by_strength_and_by_pixels() -> None:
    variants = [
        Variant("1000 e in g", (0,), (1000.0,)),
        Variant("1000 e in r", (1,), (1000.0,)),
        Variant("300 e in g", (0,), (300.0,)),
    ]
    flips = [[0, 4, 1], [2, 0, 0], [0, 0, 0], [0, 1, 0]]
    rows = [row(str(i), "merger", any(f)) | {"variant_flips": f} for i, f in enumerate(flips)]
    found = success_by_amplitude(rows, variants, electrons=True)
    assert [(e["electrons"], e["n_flipped"], e["success_rate"]) for e in found] == [
        (300.0, 1, 0.25),
        (1000.0, 3, 0.75),
    ]
    alone = success_by_amplitude(rows, variants, electrons=False)
    assert [(e["name"], e["n_flipped"]) for e in alone] == [
        ("1000 e in g", 1),
        ("1000 e in r", 2),
        ("300 e in g", 1),
    ]
    # A search that is not complete does not say which strengths would have done.
    assert (
        success_by_amplitude([row("a", "merger", True) | {"variant_flips": []}], variants, electrons=True)
        == []
    )
    taken = [row(str(i), "merger", n > 0) | {"rows": [0] * max(n, 3)} for i, n in enumerate((1, 3, 0, 0))]
    taken[0]["rows"] = [5]
    assert [e["n_flipped"] for e in success_by_pixels(taken, 3)] == [1, 1, 2]
    assert success_by_pixels(taken, 1) == []


def test_events_by_hand() -> None:
    # 5 events / cm2 / min on 15 micrometre pixels for 60 s.
    assert EventRate().per_pixel(60.0) == pytest.approx(5 * 2.25e-6)
    assert EventRate(pixel_um=10, events_cm2_min=3).per_pixel(120.0) == pytest.approx(6e-6)
    assert EventRate().per_pixel(None) is None
    assert EventRate(events_per_pixel=0.01).per_pixel(None) == 0.01
    found = misclassified_per_exposure([0.5, 0.0, 1.0], 2.0, exposures=3)
    wrong = np.array([1 - np.exp(-1), 0, 1 - np.exp(-2)])
    assert found["fraction_per_exposure"] == pytest.approx(wrong.mean())
    assert found["fraction_per_stack_unrejected"] == pytest.approx((1 - np.exp(-3) + 1 - np.exp(-6)) / 3)
    # None of 8 can still be up to Wilson's upper end of the images, where one is struck at all.
    none = misclassified_per_exposure([0.0] * 8, 0.1)
    upper = stats.binomtest(0, 8).proportion_ci(method="wilson").high * (1 - np.exp(-0.1))
    assert none["ci95"] == pytest.approx([0.0, upper])
    # One image's interval is a point; rare events are linear in the flip probability.
    assert misclassified_per_exposure([0.25], 1e-6)["ci95"] == pytest.approx([2.5e-7] * 2, rel=1e-6)


def test_nothing_right_gives_no_rate() -> None:
    rows = [row("a", "merger", False, status="already wrong")]
    found = summarise(rows, CLASSES, grid=None, spread=float("nan"))
    assert (found["n_attacked"], found["success_rate"], found["clean_accuracy"]) == (0, None, 0.0)
    assert found["success_ci95"] == [0.0, 1.0]


def two_runs(b: int, c: int, same: int = 10) -> dict:
    """Return the comparison of two runs, `b` images flipping for the first alone and `c` for the second."""
    flips = [(True, False)] * b + [(False, True)] * c + [(False, False)] * same
    first = [row(str(i), "merger", a) for i, (a, _) in enumerate(flips)]
    second = [row(str(i), "merger", z) for i, (_, z) in enumerate(flips)]
    # Images that only one of the two gets right do not enter.
    first.append(row("extra", "merger", True))
    second.append(row("extra", "merger", False, status="already wrong"))
    return compare(["adapted", "source-only"], [first, second], [1.0, 1.0])


def test_a_comparison_says_which_is_more_robust_or_that_it_cannot_tell() -> None:
    told = two_runs(1, 12)
    assert told["n_common"] == 23
    assert told["mcnemar_p"] == pytest.approx(stats.binomtest(1, 13).pvalue)
    assert told["verdict"].startswith("adapted is more robust: 4% of 23 common images flip")
    assert two_runs(12, 1)["verdict"].startswith("source-only is more robust")
    assert two_runs(3, 5)["verdict"].startswith("Which is more robust cannot be told: ")
    nothing = compare(["a", "b"], [[row("x", "merger", True)], [row("y", "merger", True)]], [1.0, 1.0])
    assert "cannot be told" in nothing["verdict"]
