"""The count of classes: its forms against scipy and ppi-python, its premise, the verb and its refusals."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate
from scipy.stats import betabinom, binom, chi2_contingency

import galshift
from galshift.data.cutouts import Cutouts
from galshift.embedding.labelling import at_random_in_strata
from galshift.errors import ConfigError, DataError
from galshift.evaluation.count_labelled import (
    Fraction,
    Sampled,
    by_strata,
    class_fraction,
    labels_alone,
    prediction_powered,
    summing_to_one,
)
from galshift.evaluation.count_unlabelled import Outputs, _ratio, check_source, cut, label_free, mixture_p
from tests import file_operations
from tests.small_surveys import CLASSES, shapes


@pytest.mark.parametrize("weight", [None, 1.0, 0.3])
@pytest.mark.parametrize(("n", "more"), [(30, 500), (100, 2000), (50, 40)])
def test_prediction_powered_is_that_of_the_reference_implementation(n, more, weight) -> None:
    rng = np.random.default_rng(n)
    labels = (rng.random(n) < 0.3).astype(float)
    predictions = np.clip(0.4 * labels + 0.6 * rng.random(n), 0, 1)
    unlabelled = rng.beta(2, 3, more)
    found = prediction_powered(labels, predictions, unlabelled, weight=weight)
    low, high = ppi_mean_ci(labels, predictions, unlabelled, alpha=0.05, lam=weight)
    point = ppi_mean_pointestimate(labels, predictions, unlabelled, lam=weight)
    wanted = [float(np.ravel(one)[0]) for one in (point, low, high)]
    assert [found.estimate, found.low, found.high] == pytest.approx(np.clip(wanted, 0, 1), abs=1e-8)


def test_of_a_finite_set_the_variance_is_less_by_that_of_the_labels_over_its_number() -> None:
    labels, said = np.array([1.0, 0, 0, 1, 0, 0, 1, 0]), np.full(8, 0.4)
    found = prediction_powered(labels, said, np.full(92, 0.4), weight=0.0, population=100)
    # Cochran 1977, eq. 2.9, with the variance over n: s^2 / n (1 - n / N).
    reach = 1.959963984540054 * np.sqrt(labels.var() / 8 * (1 - 8 / 100))
    assert (found.low, found.high) == pytest.approx((labels.mean() - reach, labels.mean() + reach))


@pytest.mark.parametrize("hits", [0, 1, 7])
def test_one_stratum_is_a_beta_binomial(hits: int) -> None:
    n, size = 20, 200
    sample = Sampled(np.arange(n) < hits, np.arange(n), np.full(size, 0.9), np.zeros(size, int))
    found = by_strata(sample)
    wanted = (hits + betabinom(size - n, hits + 0.5, n - hits + 0.5).ppf([0.025, 0.975])) / size
    assert found.high == pytest.approx(wanted[1], abs=0.01)
    assert found.low == pytest.approx(0 if hits == 0 else wanted[0], abs=0.01)
    assert found.estimate == pytest.approx(hits / n)


def test_two_strata_weigh_what_their_labels_say_by_their_known_sizes() -> None:
    stratum = np.repeat([0, 1], [100, 900])
    labelled = np.r_[np.arange(10), 100 + np.arange(40)]
    is_class = np.r_[np.arange(10) < 8, np.arange(40) < 2]
    found = by_strata(Sampled(is_class, labelled, np.zeros(1000), stratum))
    assert found.estimate == pytest.approx((100 * 8 / 10 + 900 * 2 / 40) / 1000)
    assert found.low < found.estimate < found.high
    # As many galaxies again of which nothing is known but that they are like these: less is known.
    more = by_strata(Sampled(is_class, labelled, np.zeros(1000), stratum, n_beyond=1000))
    assert more.high - more.low > found.high - found.low
    everything = by_strata(Sampled(stratum == 0, np.arange(1000), np.zeros(1000), stratum))
    assert (everything.low, everything.estimate, everything.high) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("n", [30, 100])
def test_labels_alone_hold_the_truth_as_often_as_they_say(n: int) -> None:
    size = 100_000
    of = [Sampled(np.arange(n) < k, np.arange(n), np.zeros(size), np.zeros(size, int)) for k in range(n + 1)]
    limits = np.array([(one.low, one.high) for one in map(labels_alone, of)])
    truths = np.linspace(0.05, 0.95, 181)
    holds = [binom(n, p).pmf(np.arange(n + 1)) @ ((limits[:, 0] <= p) & (p <= limits[:, 1])) for p in truths]
    assert np.mean(holds) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("wrong", [False, True])
def test_intervals_hold_whether_the_network_is_right_or_wrong(wrong: bool) -> None:
    holds, width, alone = [], [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        is_class = np.arange(600) < rng.integers(40, 80)
        answer = np.where(rng.random(600) < 0.05, ~is_class, is_class) ^ wrong
        labelled = rng.permutation(600)[:60]
        sample = Sampled(is_class[labelled], labelled, answer * 0.9, np.where(answer, 0, 1))
        found = class_fraction(sample, seed)
        holds.append(found.low <= is_class.mean() <= found.high)
        width.append(found.high - found.low)
        simple = labels_alone(sample, seed)
        alone.append(simple.high - simple.low)
    assert 0.91 <= np.mean(holds) <= 0.995
    assert np.mean(width) < 0.8 * np.mean(alone)  # an answer that is always the other one tells as much


def test_the_normal_form_is_for_many_labels_and_errors() -> None:
    rng = np.random.default_rng(3)
    is_class = rng.random(3000) < 0.4
    score = np.clip(0.5 * is_class + 0.7 * rng.random(3000), 0, 1)
    answer = np.where(score >= 0.5, 0, 1)
    many, few = np.arange(400), np.arange(40)
    assert class_fraction(Sampled(is_class[many], many, score, answer)).form == "prediction-powered"
    assert class_fraction(Sampled(is_class[few], few, score, answer)).form == "strata"
    assert class_fraction(Sampled(is_class[many], many, score, answer), simple=False).form == "strata"


def test_fractions_sum_to_one_inside_their_intervals() -> None:
    found = summing_to_one([Fraction(0.5, 0.4, 0.6, ""), Fraction(0.4, 0.3, 0.5, "")])
    assert [one.estimate for one in found] == pytest.approx([5 / 9, 4 / 9])
    assert summing_to_one([Fraction(1.0, 0.99, 1.0, ""), Fraction(0.2, 0, 0.3, "")])[0].estimate == 0.99


def test_half_of_a_sample_in_strata_is_even_over_them() -> None:
    strata = np.repeat([0, 1, 2], [900, 80, 4])
    chosen = at_random_in_strata(np.arange(984).astype(str), strata, 100)
    counts = np.bincount(strata[chosen])
    assert len(set(chosen)) == 100
    assert counts[2] == 4  # all that there are
    # 100 (0.5 * 80 / 984 + 0.5 / 3) = 21, and half of the 13 that the third stratum cannot give.
    assert 26 <= counts[1] <= 28
    assert len(at_random_in_strata(np.arange(984).astype(str), strata, 2000)) == 984


def three(seed: int, n: int, mix: tuple[float, ...], scale: float = 1.0) -> Outputs:
    """Logits of three Gaussian classes, whose centres `scale` pulls together."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=mix)
    x = 2.5 * scale * np.eye(3)[labels] + rng.normal(size=(n, 3))
    return Outputs(2.0 * x, np.arange(n), x, labels)


def test_a_mix_is_found_where_nothing_else_changes_and_refused_where_the_images_do() -> None:
    source = three(0, 300, (1 / 3, 1 / 3, 1 / 3))
    target = three(1, 900, (0.1, 0.3, 0.6))
    found = label_free(source, target, n_bootstrap=60)
    truth = np.bincount(target.labels) / 900
    assert found.holds
    assert (found.low <= truth).all() and (truth <= found.high).all()  # noqa: PT018
    assert set(found.tests) == {
        "agreement",
        "mixture by confidence",
        "mixture by logits",
        "mixture by features",
    }
    changed = label_free(source, three(1, 900, (0.1, 0.3, 0.6), scale=0.6), n_bootstrap=100)
    assert not changed.holds
    # Copies of a galaxy's image tell nothing new.
    copies = target.at(np.repeat(np.arange(900), 3))
    assert label_free(source, copies, n_bootstrap=60).tests == found.tests


def test_the_likelihood_ratio_of_one_class_is_the_g_test_of_two_samples() -> None:
    known, mixed = np.array([30.0, 50, 20]), np.array([45.0, 60, 70])
    ratio, shares, mix = _ratio(known[None, None], mixed[None])
    wanted = chi2_contingency(np.stack([known, mixed]), lambda_="log-likelihood", correction=False)
    assert ratio[0] == pytest.approx(wanted.statistic, rel=1e-6)
    assert shares[0, 0] == pytest.approx((known + mixed) / (known + mixed).sum(), rel=1e-6)
    assert mix[0] == pytest.approx([1.0])
    rng = np.random.default_rng(0)
    source, target = (np.repeat(np.arange(3), one.astype(int)) for one in (known, mixed))
    p = mixture_p(np.zeros(100, int), source, target, n_simulated=4000, rng=rng)
    assert p == pytest.approx(wanted.pvalue, abs=0.01)


def test_tests_of_the_premise_reject_as_rarely_as_they_say() -> None:
    rng = np.random.default_rng(1)
    p = []
    for seed in range(150):
        source, target = three(seed, 150, (0.4, 0.3, 0.3)), three(seed + 999, 300, (0.1, 0.5, 0.4))
        cells = cut(source.logits, source.logits.max(axis=1), target.logits, target.logits.max(axis=1))
        p.append(mixture_p(source.labels, *cells, n_simulated=99, rng=rng))
    assert 0.01 <= np.mean(np.array(p) <= 0.1) <= 0.2


def test_a_source_that_cannot_tell_its_classes_is_refused() -> None:
    source = three(0, 60, (0.9, 0.05, 0.05))
    with pytest.raises(DataError, match="held-out galaxies of one class of the source"):
        check_source(source)
    blind = three(0, 90, (1 / 3, 1 / 3, 1 / 3))
    with pytest.raises(DataError, match="never recognises one of its classes"):
        check_source(Outputs(blind.logits * [1, 1, 0] - [0, 0, 99], blind.groups, None, blind.labels))


def run(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    """Run one command line in `folder`."""
    return file_operations.galshift(folder, *shlex.split(words))


def fill_in(asked: Path, data: Cutouts, filled: Path, **change: str) -> list[dict[str, str]]:
    """Write a copy of a table to fill in, with the classes of `data`; returns its rows."""
    names = dict(zip(data.ids, data.labels, strict=True))
    with asked.open(newline="", encoding="utf-8") as file:
        rows = [{**row, "label": CLASSES[names[row["id"]]]} | change for row in csv.DictReader(file)]
    write_rows(filled, rows)
    return rows


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Write a CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_without_labels_data_of_another_mix_are_counted_with_their_premise(desk: Path) -> None:
    words = "count run sky.h5 --out free --by mag --bins 15,17,19"
    done = file_operations.galshift_alone(desk, *words.split())
    assert done.returncode == 0, done.stderr
    found = json.loads((desk / "free" / "count.json").read_text(encoding="utf-8"))
    for name, truth in zip(CLASSES, (20, 100, 180), strict=True):
        low, high = found["classes"][name]["n_ci95"]
        assert low <= truth <= high
        assert found["classes"][name]["fraction"] == pytest.approx(truth / 300, abs=0.05)
    assert "No test rejects that: p = " in done.stderr
    assert "below 0.05 the count would have been refused" in done.stderr
    assert sum(one["n_galaxies"] for one in found["bins"]) == 300
    table = Table.read(desk / "free" / "counts.ecsv")
    assert len(table) == 9
    assert set(table["bin"]) == {"all", "15 to 17", "17 to 19"}
    assert json.loads(table.meta["galshift"])["with_labels"] is False
    assert len(Table.read(desk / "free" / "counts.csv", format="ascii.csv")) == 9
    page = (desk / "free" / "report.html").read_text(encoding="utf-8")
    assert "Whether the premise holds" in page
    assert "By mag" in page
    kept = json.loads((desk / "free" / "figures.json").read_text(encoding="utf-8"))["figures"]
    assert [one["section"] for one in kept.values()] == ["How many of each class", "By mag"]
    assert "next: galshift suggest run sky.h5 --budget 100 --aim measure" in done.stderr


def test_without_labels_data_of_other_images_are_refused_and_what_helps_works_as_printed(desk: Path) -> None:
    done = run(desk, "count run dim.h5 --out refused")
    assert done.returncode == 4
    assert "dim cannot be counted without labels" in done.stderr
    assert "p = " in done.stderr
    assert "refused below 0.05" in done.stderr
    assert not (desk / "refused" / "count.json").exists()
    advice = done.stderr.split("choose galaxies to label: galshift ")[1].split(";")[0]
    asked = run(desk, f"{advice} --out ask-dim")
    assert asked.returncode == 0, asked.stderr
    lines = [line for line in asked.stderr.splitlines() if line.startswith("next: galshift count")]
    data = shapes("d", (100, 100, 100), 3, sigma=9.0)
    fill_in(desk / "ask-dim" / "suggest.csv", data, desk / "ask-dim" / "suggest.csv")
    counted = run(desk, lines[0].removeprefix("next: galshift ") + " --out counted")
    assert counted.returncode == 0, counted.stderr
    found = json.loads((desk / "counted" / "count.json").read_text(encoding="utf-8"))
    for one in found["classes"].values():
        assert one["ci95"][0] <= 1 / 3 <= one["ci95"][1]
    assert found["n_labels"] == 100
    assert "however wrong the network is" in counted.stderr


@pytest.mark.parametrize("strata", ["none", "answers"])
def test_a_sample_carries_its_chances_to_the_count(desk: Path, strata: str) -> None:
    folder, data = desk / f"ask-{strata}", shapes("t", (20, 100, 180), 2)
    how = {"aim": "measure", "strata": strata, "out": str(folder)}
    galshift.suggest(str(desk / "run"), str(desk / "sky.h5"), budget=60, **how)
    rows = fill_in(folder / "suggest.csv", data, desk / f"{strata}.csv")
    chances = np.array([float(row["inclusion_probability"]) for row in rows])
    # Horvitz and Thompson 1952: one over the chances, summed over a sample, is the size of the whole.
    assert (1 / chances).sum() == pytest.approx(300)
    assert (np.unique(chances).size > 1) is (strata == "answers")
    labels = {"labels": str(desk / f"{strata}.csv"), "label_column": "label"}
    found = galshift.count(str(desk / "run"), str(desk / "sky.h5"), **labels, out=str(desk / f"c-{strata}"))
    results = found.results
    for name, truth in zip(CLASSES, (20, 100, 180), strict=True):
        low, high = results["classes"][name]["n_ci95"]
        assert low <= truth <= high
    assert results["simple"] is (strata == "none")
    # Shapes reach the border by class, so that another mix of them looks like another sky.
    assert [line for line in results["warnings"] if not line.startswith("The sky of sky")] == []
    assert sum(one["fraction"] for one in results["classes"].values()) == pytest.approx(1)


def test_what_the_file_of_labels_does_not_fit_is_said(desk: Path) -> None:
    data = shapes("t", (20, 100, 180), 2)
    run_, sky = str(desk / "run"), str(desk / "sky.h5")
    how = {"aim": "measure", "out": str(desk / "ask-fit")}
    galshift.suggest(run_, sky, budget=60, **how)
    rows = fill_in(desk / "ask-fit" / "suggest.csv", data, desk / "fit.csv")

    def count(rows: list[dict[str, str]], name: str) -> dict:
        write_rows(desk / f"{name}.csv", rows)
        read = {"labels": str(desk / f"{name}.csv"), "label_column": "label"}
        return galshift.count(run_, sky, **read, out=str(desk / f"count-{name}")).results

    bare = [{"id": row["id"], "label": row["label"]} for row in rows]
    assert any(
        "does not say how its galaxies were chosen" in line for line in count(bare, "bare")["warnings"]
    )
    blank = [{**row, "label": "" if k < 9 else row["label"]} for k, row in enumerate(rows)]
    found = count(blank, "blank")
    assert found["n_labels"] == 51
    assert any("9 of the 60 galaxies drawn have no label" in line for line in found["warnings"])
    halved = [{**row, "inclusion_probability": "0.02"} for row in rows]
    assert any("drawn with a chance of 0.02" in line for line in count(halved, "halved")["warnings"])
    odd = [{**row, "inclusion_probability": str(0.1 + 0.001 * k)} for k, row in enumerate(rows)]
    with pytest.raises(DataError, match="by the answers of another network"):
        count(odd, "odd")
    foreign = [{**row, "label": "star" if k < 5 else row["label"]} for k, row in enumerate(rows)]
    found = count(foreign, "foreign")
    assert found["classes"]["other"]["n_labels"] == 5
    assert any(line.endswith("counted as 'other': star.") for line in found["warnings"])
    with pytest.raises(DataError, match=r"no label is a class of the network .*: they are R, star") as caught:
        count([{**row, "label": "star" if k else "R"} for k, row in enumerate(rows)], "none")
    assert caught.value.hint.startswith("--classes-map 'R=NAME', NAME one of ")
    chosen = [row for row in bare if row["label"] == "flat"] + bare[:3]
    assert any("were not drawn at random" in line for line in count(chosen, "chosen")["warnings"])
    assert any("Only" in line for line in count(bare[:10], "few")["warnings"])


def test_labels_of_galaxies_that_were_trained_on_are_left_out(desk: Path) -> None:
    data = shapes("s", (120, 120, 120), 1)
    splits = json.loads((desk / "run" / "splits.json").read_text(encoding="utf-8"))["source"]["parts"]
    names = [*splits["train"][:10], *splits["test"][:20]]
    known = dict(zip(data.ids, data.labels, strict=True))
    write_rows(desk / "own.csv", [{"id": name, "label": CLASSES[known[name]]} for name in names])
    read = {"labels": str(desk / "own.csv"), "label_column": "label"}
    run_, source = str(desk / "run"), str(desk / "source.h5")
    found = galshift.count(run_, source, **read, out=str(desk / "own")).results
    assert found["n_labels"] == 20
    assert found["n_drawn_from"] == len(splits["test"])
    assert any("10 labelled galaxies are left out" in line for line in found["warnings"])
    write_rows(desk / "seen.csv", [{"id": name, "label": CLASSES[known[name]]} for name in names[:10]])
    with pytest.raises(DataError, match="no galaxy has a label and was left alone by the training"):
        galshift.count(run_, source, labels=str(desk / "seen.csv"), label_column="label")


def test_bins_are_of_a_column_that_is_there(desk: Path) -> None:
    run_, sky = str(desk / "run"), str(desk / "sky.h5")
    found = galshift.count(run_, sky, by="field", out=str(desk / "words")).results
    assert [one["name"] for one in found["bins"]] == ["a", "b"]
    assert [one["n_galaxies"] for one in found["bins"]] == [200, 100]
    with pytest.raises(DataError, match="has no column 'magn'") as error:
        galshift.count(run_, sky, by="magn")
    assert "did you mean 'mag'?" in error.value.hint
    with pytest.raises(DataError, match="holds words and cannot be cut at edges"):
        galshift.count(run_, sky, by="field", bins=[1, 2])
    with pytest.raises(ConfigError, match="cannot run") as wrong:
        galshift.count(run_, sky, by="mag", bins=[17, 15])
    assert "must be at least two and rise" in wrong.value.problems[0]
    with pytest.raises(ConfigError) as lonely:
        galshift.count(run_, sky, bins=[15, 17])
    assert "bins are of a column" in lonely.value.problems[0]


def test_the_same_seed_counts_the_same(desk: Path) -> None:
    how = {"out": str(desk / "again"), "bootstrap": 50}
    first = galshift.count(str(desk / "run"), str(desk / "sky.h5"), **how).results["classes"]
    again = {**how, "out": str(desk / "again-2")}
    assert galshift.count(str(desk / "run"), str(desk / "sky.h5"), **again).results["classes"] == first
