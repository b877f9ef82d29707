"""Thresholds: their words, what they reach against scikit-learn, what evaluate and predict make of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve, precision_recall_fscore_support

import galshift
from galshift.errors import ConfigError, DataError
from galshift.evaluation.classes import classification_metrics
from galshift.evaluation.thresholds import FEWEST, choose, curve_of, place
from galshift.recipes.prepare import prepare
from galshift.verbs._threshold import KINDS, Rule, parse, rules_of
from tests import file_operations
from tests.small_surveys import CLASSES


@given(kind=st.sampled_from(KINDS), value=st.floats(1e-6, 1))
def test_every_rule_is_read_as_it_is_written(kind: str, value: float) -> None:
    found = parse(f" {kind} : {value:.17f} ")
    assert found.kind == kind
    assert found.value == pytest.approx(value, abs=1e-15)
    assert parse(str(Rule(kind, 0.25))) == Rule(kind, 0.25)


@given(st.text(max_size=20))
def test_what_is_no_rule_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"write purity:0\.9|at most 1"):
        parse(f"{text};")


@pytest.mark.parametrize("text", ["purity:0", "p:1.01", "completeness:2"])
def test_a_share_beyond_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is above 0 and at most 1"):
        parse(text)


def test_a_class_that_the_network_lacks_is_named() -> None:
    with pytest.raises(DataError, match="the network has no class 'mergr'") as error:
        rules_of({"mergr": "p:0.5"}, ("merger", "spiral"))
    assert "did you mean 'merger'?" in str(error.value)


def scored(seed: int, n: int = 300, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and whether each is of the class."""
    rng = np.random.default_rng(seed)
    is_class = rng.random(n) < share
    return np.round(np.clip(0.3 * is_class + 0.6 * rng.random(n), 0, 1), 2), is_class


@pytest.mark.parametrize("weighted", [False, True])
def test_curves_are_those_of_scikit_learn(weighted: bool) -> None:
    score, is_class = scored(1)
    weights = np.random.default_rng(2).uniform(0.2, 3, len(score)) if weighted else None
    found = curve_of(score, is_class, weights)
    precision, recall, thresholds = precision_recall_curve(is_class, score, sample_weight=weights)
    assert found.thresholds[::-1] == pytest.approx(thresholds)
    assert found.purity[::-1] == pytest.approx(precision[:-1])
    assert found.completeness[::-1] == pytest.approx(recall[:-1])


def test_each_rule_leads_where_it_says() -> None:
    score, is_class = scored(3)
    curve = curve_of(score, is_class)

    def reached(kind: str, value: float) -> tuple[float, float, float]:
        at = curve.thresholds[place(kind, value, curve)]
        chosen = score >= at
        return at, is_class[chosen].mean(), chosen[is_class].mean()

    at, purity, _ = reached("purity", 0.8)
    assert purity >= 0.8
    lower = [t for t in np.unique(score) if t < at]
    assert all(is_class[score >= t].mean() < 0.8 for t in lower)  # the most complete of those that reach it
    at, _, completeness = reached("completeness", 0.9)
    assert completeness >= 0.9
    higher = [t for t in np.unique(score) if t > at]
    assert all((score[is_class] >= t).mean() < 0.9 for t in higher)
    assert reached("p", 0.555)[0] == 0.56


def test_another_mix_weighs_the_classes() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [4000, 4000])
    score = rng.normal(2 * (labels == 0), 1)
    how = {"score": score, "labels": labels, "groups": np.arange(8000), "index": 0, "n_bootstrap": 20}
    found = choose("purity", 0.8, **how, mix=np.array([0.1, 0.9]))
    chosen = score >= found.threshold
    right, wrong = (chosen[labels == k].mean() for k in (0, 1))
    # Bayes: of what is selected, the share of a class that is a tenth of all.
    assert 0.1 * right / (0.1 * right + 0.9 * wrong) == pytest.approx(0.8, abs=0.03)
    assert found.completeness == pytest.approx(right)
    assert found.threshold > choose("purity", 0.8, **how, mix=np.array([0.5, 0.5])).threshold


def test_the_contamination_to_expect_is_that_of_other_galaxies_of_the_kind() -> None:
    holds, bias = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)

        def drawn(n: int, share: float, rng: np.random.Generator = rng) -> tuple[np.ndarray, np.ndarray]:
            labels = (rng.random(n) >= share).astype(int)
            return rng.normal(1.6 * (labels == 0), 1), labels

        score, labels = drawn(250, 0.4)
        how = {"score": score, "labels": labels, "groups": np.arange(250), "index": 0}
        found = choose("purity", 0.6, **how, mix=np.array([0.15, 0.85]), n_bootstrap=150, seed=seed)
        others, truth = drawn(40_000, 0.15)
        purity = (truth[others >= found.threshold] == 0).mean()
        holds.append(found.purity_ci95[0] <= purity <= found.purity_ci95[1])
        bias.append(found.purity - purity)
    assert np.mean(holds) >= 0.88
    assert abs(np.mean(bias)) < 0.06


def test_a_purity_that_cannot_be_had_says_the_best() -> None:
    score, is_class = scored(5)
    noise = np.random.default_rng(5).permutation(score)
    how = {"score": noise, "labels": np.where(is_class, 0, 1), "groups": np.arange(300), "index": 0}
    with pytest.raises(
        DataError, match=r"a purity of 0.99 is not to be had on these data: the best is 0\.\d"
    ) as e:
        choose("purity", 0.99, **how, mix=np.array([0.3, 0.7]))
    best = float(str(e.value).split("ask for purity:")[1].split(",")[0])
    assert choose("purity", best, **how, mix=np.array([0.3, 0.7])).n_selected >= FEWEST
    few = {**how, "labels": np.where(np.arange(300) < 3, 0, 1)}
    with pytest.raises(DataError, match="no purity can be promised: fewer than 5"):
        choose("purity", 0.5, **few, mix=np.array([0.3, 0.7]))
    nothing = choose("p", 1.0, **how, mix=np.array([0.3, 0.7]))
    assert nothing.n_selected == 0
    assert np.isnan(nothing.purity)


def test_per_class_intervals_of_a_rare_class_are_wilsons() -> None:
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(400) < 12, 1, 0)
    p = np.clip(rng.normal(0.25 + 0.4 * labels, 0.2), 0, 1)
    found = classification_metrics(labels, np.stack([1 - p, p], axis=1), ("common", "rare"), n_bootstrap=200)
    rare, answers = found["per_class"]["rare"], p > 0.5
    purity, completeness, _, _ = precision_recall_fscore_support(labels, answers, labels=[1])
    assert (rare["precision"], rare["recall"]) == pytest.approx((purity[0], completeness[0]))
    wilson = binomtest(int(answers[:12].sum()), 12).proportion_ci(0.95, method="wilson")
    assert rare["ci95"]["recall"] == pytest.approx(list(wilson))
    low, high = found["per_class"]["common"]["ci95"]["recall"]
    assert low < found["per_class"]["common"]["recall"] < high


def test_evaluate_holds_what_was_expected_against_the_labels(desk: Path) -> None:
    found = galshift.evaluate(
        [str(desk / "run")],
        on=[str(desk / "sky.h5")],
        threshold={"flat": "purity:0.9", "ring": "p:0.8"},
        out=str(desk / "judged"),
    ).results
    row = found["results"][0]["domains"]["sky"]["thresholds"]
    table = Table.read(desk / "judged" / "predictions.fits")
    flat = table["p_flat"] >= row["flat"]["threshold"]
    assert (table["selected_flat"] == flat).all()
    assert (table["selected_ring"] == (table["p_ring"] >= 0.8)).all()
    assert (table["selected"] == (table["selected_flat"] | table["selected_ring"])).all()
    truth = np.char.strip(np.asarray(table["label"]).astype(str)) == "flat"
    assert row["flat"]["purity"] == pytest.approx(truth[flat].mean())
    assert row["flat"]["completeness"] == pytest.approx(np.asarray(flat)[truth].mean())
    assert row["flat"]["n_selected"] == flat.sum()
    low, high = row["flat"]["contamination_ci95"]
    assert low <= row["flat"]["expected_contamination"] <= high
    was = row["flat"]["purity_ci95"]
    assert was[0] <= 1 - low
    assert 1 - high <= was[1]
    page = (desk / "judged" / "report.html").read_text(encoding="utf-8")
    for words in (
        "Selected classes",
        "Completeness and purity of each class",
        "flat is selected from p_flat",
    ):
        assert words in page


def test_predict_selects_and_says_in_the_header_by_what(desk: Path) -> None:
    words = "predict run sky.h5 chosen.fits --threshold flat=completeness:0.9"
    done = file_operations.galshift(desk, *words.split())
    assert done.returncode == 0, done.stderr
    assert "flat is selected from p_flat = " in done.stderr
    assert "expected contamination" in done.stderr
    with fits.open(desk / "chosen.fits") as file:
        table, told = Table(file[1].data), "".join(file[1].header["HISTORY"])
    about = json.loads(told)["thresholds"]["flat"]
    assert about["chosen_on"] == "source validation"
    assert (table["selected"] == (table["p_flat"] >= about["threshold"])).all()
    assert 0 < table["selected"].sum() < 60


def test_in_shards_the_same_galaxies_are_selected(desk: Path) -> None:
    how = {"threshold": {"flat": "purity:0.8"}}
    whole = galshift.predict(str(desk / "run"), str(desk / "sky.h5"), str(desk / "w.parquet"), **how)
    parts = galshift.predict(
        str(desk / "run"), str(desk / "sky.h5"), str(desk / "s.parquet"), shards=70, **how
    )
    assert whole.results["thresholds"] == parts.results["thresholds"]
    assert whole.results["n_selected"] == parts.results["n_selected"] > 0


def test_where_the_mix_cannot_be_told_nothing_is_claimed(desk: Path) -> None:
    found = galshift.predict(
        str(desk / "run"), str(desk / "dim.h5"), str(desk / "dim.csv"), threshold={"flat": "p:0.6"}
    ).results
    assert found["thresholds"]["flat"]["expected_contamination"] is None
    assert found["thresholds"]["flat"]["for"] == "the class mix of the source"
    assert "nothing is claimed for these data" in found["selection"][-1]


def test_refusals_of_the_verbs(desk: Path) -> None:
    run, sky = str(desk / "run"), str(desk / "sky.h5")
    with pytest.raises(DataError, match="the network has no class 'star'"):
        galshift.predict(run, sky, str(desk / "no.csv"), threshold={"star": "p:0.5"})
    with pytest.raises(ConfigError) as error:
        galshift.evaluate([run], on=[sky], threshold={"flat": "pure:0.9"})
    assert "'pure:0.9' is no threshold: write purity:0.9" in error.value.problems[0]
    assert set(CLASSES) == {"flat", "tall", "ring"}


@pytest.mark.parametrize("kind", ["evaluate", "predict"])
def test_without_a_threshold_runs_are_named_as_before(desk: Path, kind: str) -> None:
    run, sky = str(desk / "run"), str(desk / "sky.h5")
    values = {"runs": [run], "on": [sky]} if kind == "evaluate" else {"run": run, "data": sky}
    plain = prepare(kind, values)
    assert "threshold" not in plain.parameters
    assert prepare(kind, {**values, "threshold": {"flat": "p:0.5"}}).fingerprint != plain.fingerprint
    same = [
        prepare(kind, {**values, "threshold": {"flat": text}}).fingerprint for text in ("p:0.5", " p : .50")
    ]
    assert same[0] == same[1]
