"""Metrics against scikit-learn, torchmetrics and scipy's bootstrap."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from galshift.errors import DataError
from galshift.evaluation.bootstrap import numbers_of
from galshift.evaluation.calibration import (
    adaptive_calibration_error,
    expected_calibration_error,
    reliability,
)
from galshift.evaluation.class_sample import summarise
from galshift.evaluation.classes import (
    always_majority,
    class_metrics,
    classification_metrics,
    hard_labels,
    paired_differences,
)
from galshift.evaluation.honesty import entropy, labels_needed, plain_warnings, unlabelled_summary
from galshift.intervals import wilson_interval
from galshift.provenance import jsonable

HEADLINE = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece", "brier", "nll")


def statistics(scored, weights):
    """Every metric under the given weights of galaxies."""
    return numbers_of(class_metrics(), scored, weights)


def made(n=300, k=3, skill=1.5, seed=0, decimals=None):
    """Labels and probabilities of a classifier of the given skill."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), labels] += skill
    if decimals is not None:  # many ties
        logits = np.round(logits, decimals)
    probabilities = np.exp(logits)
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_quantities_as_sidda_computes_them(k):
    y, p = made(k=k)
    got = classification_metrics(y, p, [f"c{i}" for i in range(k)], n_bootstrap=0)
    each = [sk.brier_score_loss(y == i, p[:, i]) for i in range(k)]
    assert got["brier_sidda"] == pytest.approx(np.mean(each))
    # The mean absolute error of the top probability as a guess at whether it is right.
    top, right = p.max(axis=1), p.argmax(axis=1) == y
    assert got["ece_sidda"] == pytest.approx(sk.mean_absolute_error(right, top))


def test_the_error_of_sidda_is_far_from_zero_for_a_calibrated_network():
    rng = np.random.default_rng(0)
    top = rng.uniform(0.5, 1.0, 20_000)
    y = (rng.uniform(size=len(top)) > top).astype(int)
    got = classification_metrics(y, np.stack([top, 1 - top], axis=1), ["a", "b"], n_bootstrap=0)
    # E[2 p (1 - p)] over p uniform in [0.5, 1] is 1 / 3.
    assert got["ece_sidda"] == pytest.approx(1 / 3, abs=0.01)
    assert got["ece"] < 0.02


@pytest.mark.parametrize(("k", "decimals"), [(2, None), (3, None), (3, 0), (5, None)])
def test_point_values_agree_with_scikit_learn(k, decimals):
    y, p = made(k=k, decimals=decimals)
    names = [f"c{i}" for i in range(k)]
    got = classification_metrics(y, p, names, n_bootstrap=0)
    guess = p.argmax(axis=1)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(y, guess))
    assert got["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, guess))
    assert got["macro_f1"] == pytest.approx(sk.f1_score(y, guess, average="macro"))
    assert got["nll"] == pytest.approx(sk.log_loss(y, p))
    auroc = sk.roc_auc_score(y, p[:, 1]) if k == 2 else sk.roc_auc_score(y, p, multi_class="ovr")
    assert got["auroc"] == pytest.approx(auroc)
    onehot = np.eye(k)[y]
    assert got["brier"] == pytest.approx(np.mean(np.sum((p - onehot) ** 2, axis=1)))
    assert got["confusion"] == sk.confusion_matrix(y, guess).tolist()
    report = sk.classification_report(y, guess, output_dict=True, zero_division=np.nan)
    for i, name in enumerate(names):
        row = got["per_class"][name]
        assert row["precision"] == pytest.approx(report[str(i)]["precision"])
        assert row["recall"] == pytest.approx(report[str(i)]["recall"])
        assert row["f1"] == pytest.approx(report[str(i)]["f1-score"])
        assert row["n"] == report[str(i)]["support"]
    assert got["majority_class_accuracy"] == pytest.approx(np.bincount(y).max() / len(y))


@pytest.mark.parametrize("k", [2, 4])
def test_calibration_error_agrees_with_torchmetrics(k):
    tm = pytest.importorskip("torchmetrics.functional.classification")
    import torch

    y, p = made(n=500, k=k, seed=3)
    ours = classification_metrics(y, p, [str(i) for i in range(k)], n_bootstrap=0)["ece"]
    theirs = tm.multiclass_calibration_error(
        torch.tensor(p), torch.tensor(y), num_classes=k, n_bins=15, norm="l1"
    )
    assert ours == pytest.approx(float(theirs), abs=1e-6)
    assert expected_calibration_error(reliability(y, p)) == pytest.approx(ours, abs=1e-12)


def test_weighted_statistics_agree_with_scikit_learn_sample_weights():
    y, p = made(n=200, decimals=1)
    weights = np.random.default_rng(1).integers(0, 4, 200).astype(float)
    sums = summarise(y, p, np.arange(200))
    got = {name: float(v[0]) for name, v in statistics(sums, weights[None]).items()}
    guess = p.argmax(axis=1)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(y, guess, sample_weight=weights))
    assert got["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(y, guess, sample_weight=weights)
    )
    assert got["macro_f1"] == pytest.approx(sk.f1_score(y, guess, average="macro", sample_weight=weights))
    assert got["nll"] == pytest.approx(sk.log_loss(y, p, sample_weight=weights))
    ovr = [sk.roc_auc_score(y == c, p[:, c], sample_weight=weights) for c in range(3)]
    assert got["auroc"] == pytest.approx(np.mean(ovr))


def test_statistics_of_a_resample_are_those_of_the_repeated_rows():
    y, p = made(n=60)
    groups = np.arange(60) // 3
    drawn = np.random.default_rng(5).integers(0, 20, 20)
    rows = np.concatenate([np.flatnonzero(groups == g) for g in drawn])
    weights = np.bincount(drawn, minlength=20).astype(float)[None]
    by_weight = statistics(summarise(y, p, groups), weights)
    by_rows = statistics(summarise(y[rows], p[rows], np.arange(len(rows))), np.ones((1, len(rows))))
    for name in HEADLINE:
        assert by_weight[name][0] == pytest.approx(by_rows[name][0]), name


def test_interval_agrees_with_scipy_bootstrap():
    from scipy.stats import bootstrap

    y, p = made(n=400, skill=1.0)
    got = classification_metrics(y, p, list("abc"), n_bootstrap=4000)["ci95"]["accuracy"]
    correct = (p.argmax(axis=1) == y).astype(float)
    theirs = bootstrap(
        (correct,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert got == pytest.approx([theirs.low, theirs.high], abs=0.006)


def test_views_of_one_galaxy_do_not_narrow_the_interval():
    y, p = made(n=100, skill=1.0)
    once = classification_metrics(y, p, list("abc"), n_bootstrap=3000)["ci95"]["accuracy"]
    rows = np.repeat(np.arange(100), 4)
    grouped = classification_metrics(y[rows], p[rows], list("abc"), groups=rows, n_bootstrap=3000)
    naive = classification_metrics(y[rows], p[rows], list("abc"), n_bootstrap=3000)
    width = [high - low for low, high in (once, grouped["ci95"]["accuracy"], naive["ci95"]["accuracy"])]
    assert width[1] == pytest.approx(width[0], rel=0.1)
    assert width[2] == pytest.approx(width[0] / 2, rel=0.15)


def test_coverage_of_the_interval():
    """About 95 % of intervals hold the true accuracy (binomial tolerance of 200 trials)."""
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        correct = rng.random(150) < 0.8
        p = np.where(correct[:, None], [0.9, 0.1], [0.1, 0.9])
        low, high = classification_metrics(np.zeros(150, int), p, ["a", "b"], n_bootstrap=400, seed=trial)[
            "ci95"
        ]["accuracy"]
        covered += low <= 0.8 <= high
    assert 0.89 <= covered / 200 <= 0.99


@given(st.permutations(range(40)))
@settings(max_examples=15, deadline=None)
def test_row_order_changes_nothing(order):
    order = np.asarray(order)
    y, p = made(n=40)
    groups = np.array([f"g{i // 2}" for i in range(40)])
    one = classification_metrics(y, p, list("abc"), groups=groups, n_bootstrap=50)
    two = classification_metrics(y[order], p[order], list("abc"), groups=groups[order], n_bootstrap=50)
    for name in HEADLINE:
        assert one[name] == pytest.approx(two[name], rel=1e-12)
        assert one["ci95"][name] == pytest.approx(two["ci95"][name], rel=1e-9)


def test_absent_class_is_null_and_left_out_of_macro_averages():
    y, p = made(n=80, k=2)
    p3 = np.concatenate([p * 0.9, np.full((80, 1), 0.1)], axis=1)
    got = classification_metrics(y, p3, ["a", "b", "ghost"], n_bootstrap=50)
    assert got["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, p.argmax(axis=1)))
    ghost = jsonable(got)["per_class"]["ghost"]
    unknown = {"precision": [None, None], "recall": [None, None]}
    assert ghost == {"precision": None, "recall": None, "f1": None, "n": 0, "ci95": unknown}
    json.dumps(jsonable(got), allow_nan=False)


def test_the_floor_is_always_answering_the_most_common_class():
    y, p = made(n=90, k=3)
    floor = always_majority(classification_metrics(y, p, list("abc"), n_bootstrap=0))
    guess = np.full(90, np.bincount(y).argmax())
    assert floor["accuracy"] == pytest.approx(sk.accuracy_score(y, guess))
    assert floor["balanced_accuracy"] == pytest.approx(1 / 3)
    assert floor["macro_f1"] == pytest.approx(sk.f1_score(y, guess, average="macro"))
    assert floor["auroc"] == 0.5
    assert "ece" not in floor


def test_one_class_only_has_no_auroc():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    got = classification_metrics(np.zeros(3, int), p, ["a", "b"], n_bootstrap=20)
    assert np.isnan(got["auroc"])
    assert jsonable(got)["ci95"]["auroc"] == [None, None]


def test_a_perfect_score_on_few_galaxies_keeps_an_honest_interval():
    p = np.eye(2)[[0, 0, 0, 1, 1]] * 0.98 + 0.01
    got = classification_metrics(np.array([0, 0, 0, 1, 1]), p, ["a", "b"])
    low, high = got["ci95"]["accuracy"]
    assert (low, high) == pytest.approx((wilson_interval(5, 5)[0], 1.0))
    assert low < 0.6
    assert got["ci95"]["balanced_accuracy"][0] == pytest.approx(wilson_interval(2, 2)[0])
    assert jsonable(got["ci95"]["auroc"]) == [None, None]


def test_wilson_agrees_with_scipy():
    from scipy.stats import binomtest

    for k, n in [(0, 10), (3, 10), (38, 60), (60, 60)]:
        theirs = binomtest(k, n).proportion_ci(method="wilson")
        assert wilson_interval(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_unlabelled_images_are_left_out_and_counted():
    y, p = made(n=50)
    some = np.where(np.arange(50) % 5 == 0, -1, y)
    got = classification_metrics(some, p, list("abc"), n_bootstrap=0)
    keep = some >= 0
    assert got["n"] == 40
    assert got["n_unlabelled"] == 10
    assert got["accuracy"] == pytest.approx((p[keep].argmax(axis=1) == y[keep]).mean())


@pytest.mark.parametrize(
    ("labels", "shape", "n_classes"),
    [([-1, -1], (2, 2), 2), ([0, 5], (2, 2), 2), ([0, 1, 1], (2, 2), 2), ([0, 1], (2, 2), 3)],
)
def test_input_that_does_not_fit_is_refused(labels, shape, n_classes):
    with pytest.raises(DataError):
        classification_metrics(np.array(labels), np.full(shape, 0.5), [str(i) for i in range(n_classes)])


def test_soft_and_continuous_labels():
    assert hard_labels(np.array([[0.2, 0.8], [0.7, 0.3], [np.nan, 0.1]]), 3).tolist() == [1, 0, -1]
    assert hard_labels(None, 2).tolist() == [-1, -1]
    assert hard_labels(np.array([1.0, np.nan]), 2).tolist() == [1, -1]
    with pytest.raises(DataError, match="continuous"):
        hard_labels(np.array([0.3, 1.2]), 2)


def test_paired_difference_is_zero_for_the_same_model_and_narrower_than_unpaired():
    y, before = made(n=300, skill=1.0)
    same = paired_differences(y, before, before, list("abc"), n_bootstrap=200)
    assert same["n_changed"] == 0
    assert all(same[name]["difference"] == 0 and same[name]["ci95"] == [0, 0] for name in HEADLINE)
    after = 0.8 * before + 0.2 * np.eye(3)[y]  # helped everywhere
    pair = paired_differences(y, before, after, list("abc"), n_bootstrap=500)
    gain = pair["accuracy"]
    truth = (after.argmax(1) == y).mean() - (before.argmax(1) == y).mean()
    assert gain["difference"] == pytest.approx(truth)
    assert gain["share_above_zero"] == 1.0
    single = classification_metrics(y, before, list("abc"), n_bootstrap=500)["ci95"]["accuracy"]
    assert gain["ci95"][1] - gain["ci95"][0] < single[1] - single[0]


def test_adaptive_calibration_error_of_a_calibrated_and_an_overconfident_model():
    rng = np.random.default_rng(0)
    first = rng.random(20_000)
    p = np.stack([first, 1 - first], axis=1)
    y = (rng.random(20_000) > first).astype(int)
    assert adaptive_calibration_error(y, p) < 0.02
    sharp = np.stack([first > 0.5, first <= 0.5], axis=1).astype(float)
    # Sharpened to 0 or 1, the mean distance from the true probability is E|u - round(u)| = 1/4.
    assert adaptive_calibration_error(y, sharp) == pytest.approx(0.25, abs=0.02)


def test_labels_needed_is_the_binomial_answer():
    assert labels_needed() == 385
    assert labels_needed(0.9) == 139  # 1.96^2 x 0.09 / 0.0025 = 138.3


def test_unlabelled_summary_claims_no_accuracy():
    _, p = made(n=40)
    got = unlabelled_summary(p, list("abc"), groups=np.arange(40) // 2)
    assert not {"accuracy", "macro_f1"} & set(got)
    assert got["n_groups"] == 20
    assert sum(got["predicted_mix"].values()) == pytest.approx(1)
    from scipy.stats import entropy as scipy_entropy

    assert np.allclose(entropy(p), scipy_entropy(p, axis=1))


def test_warnings_in_plain_words():
    y, p = made(n=30)
    few = plain_warnings("sdss", classification_metrics(y, p, list("abc")))
    assert few[0].startswith("Too few galaxies: sdss has only 30")
    many_y, many_p = made(n=3000, skill=3)
    assert plain_warnings("sdss", classification_metrics(many_y, many_p, list("abc"), n_bootstrap=50)) == []
    blind = np.tile([0.8, 0.1, 0.1], (600, 1))
    y = np.arange(600) % 3
    text = " ".join(plain_warnings("sdss", classification_metrics(y, blind, list("abc"), n_bootstrap=50)))
    assert "no more accurate than always answering" in text
    assert "never answers b or c" in text
