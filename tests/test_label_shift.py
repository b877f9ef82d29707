"""The class mix of an unlabelled target, against a problem whose answer is known."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import multivariate_normal

from galshift.errors import DataError
from galshift.selection._calibration import calibrate
from galshift.selection.label_shift import (
    bbse,
    class_mix,
    corrected,
    estimate_mix,
    expectation_maximisation,
    joint_confusion,
    rlls,
    total_variation,
)

CENTRES = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
SOURCE, TARGET = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])


@lru_cache
def problem(n: int = 20_000, seed: int = 0) -> dict[str, np.ndarray]:
    """Three unit Gaussians under label shift, with exact posteriors of the source by scipy's densities."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, mix in (("source", SOURCE), ("target", TARGET)):
        labels = rng.choice(3, n, p=mix)
        points = CENTRES[labels] + rng.normal(size=(n, 2))
        joint = np.stack([p * multivariate_normal(m).pdf(points) for p, m in zip(SOURCE, CENTRES)], axis=1)
        made[f"{name}_labels"] = labels
        made[f"{name}_p"] = joint / joint.sum(axis=1, keepdims=True)
        made[f"{name}_logits"] = np.log(joint)
    return made


@pytest.mark.parametrize("method", ["em", "bbse", "rlls"])
def test_the_mix_of_three_gaussians_is_recovered_within_4_percent(method: str) -> None:
    data = problem()
    found = estimate_mix(
        data["source_logits"], data["source_labels"], data["target_logits"], method=method, n_bootstrap=0
    )
    truth = class_mix(data["target_labels"], 3)
    assert np.abs(found.target - truth).max() < 0.04
    assert found.target.sum() == pytest.approx(1)
    assert found.shifted
    assert found.shift == pytest.approx(total_variation(SOURCE, TARGET), abs=0.03)


@pytest.mark.parametrize("soft", [True, False])
def test_bbse_weights_match_the_published_ones(soft: bool) -> None:
    data = problem()
    weights = bbse(data["source_labels"], data["source_p"], data["target_p"], soft=soft)
    np.testing.assert_allclose(weights, TARGET / SOURCE, rtol=0.04)


def test_em_weights_match_and_correction_gains_a_tenth_of_accuracy() -> None:
    data = problem()
    mix = expectation_maximisation(data["target_p"], SOURCE)
    np.testing.assert_allclose(mix / SOURCE, TARGET / SOURCE, rtol=0.04)
    before = (data["target_p"].argmax(1) == data["target_labels"]).mean()
    after = (corrected(data["target_p"], SOURCE, mix).argmax(1) == data["target_labels"]).mean()
    assert before == pytest.approx(0.620, abs=0.01)
    assert after == pytest.approx(0.724, abs=0.01)


def test_correction_is_bayes_rule() -> None:
    data = problem()
    joint = np.exp(data["target_logits"]) / SOURCE * TARGET
    np.testing.assert_allclose(
        corrected(data["target_p"], SOURCE, TARGET), joint / joint.sum(1, keepdims=True), atol=1e-12
    )


def test_em_starting_elsewhere_ends_at_the_same_mix() -> None:
    data = problem(2000)
    one = expectation_maximisation(data["target_p"], SOURCE)
    two = expectation_maximisation(data["target_p"], SOURCE, start=np.array([0.01, 0.01, 0.98]))
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_joint_confusion_is_sklearns() -> None:
    from sklearn.metrics import confusion_matrix

    data = problem(500)
    hard = data["source_p"].argmax(1)
    expected = confusion_matrix(data["source_labels"], hard, labels=range(3)).T / 500
    np.testing.assert_allclose(joint_confusion(data["source_labels"], np.eye(3)[hard]), expected)


def test_rlls_believes_in_no_shift_when_images_are_few() -> None:
    few, many = problem(30, 1), problem()
    weights = rlls(few["source_labels"], few["source_p"], few["target_p"])
    np.testing.assert_allclose(weights, 1, atol=1e-6)
    full = rlls(many["source_labels"], many["source_p"], many["target_p"])
    np.testing.assert_allclose(full, TARGET / SOURCE, rtol=0.04)
    half = rlls(many["source_labels"], many["source_p"], many["target_p"], trust=0.5)
    np.testing.assert_allclose(half, (1 + full) / 2, atol=0.02)


def test_calibration_undoes_a_temperature_and_a_bias() -> None:
    data = problem()
    bias = np.array([0.5, 0.0, -0.5])
    wrong = 2.5 * (data["source_logits"] - bias)
    found = calibrate(wrong, data["source_labels"])
    assert found.temperature == pytest.approx(2.5, rel=0.04)
    np.testing.assert_allclose(found.bias, bias, atol=0.05)
    np.testing.assert_allclose(found(wrong), data["source_p"], atol=0.02)
    plain = calibrate(3 * data["source_logits"], data["source_labels"], with_bias=False)
    assert plain.temperature == pytest.approx(3, rel=0.04)
    np.testing.assert_array_equal(plain.bias, 0)


def test_separated_classes_do_not_send_the_temperature_to_zero() -> None:
    labels = np.arange(30) % 3
    found = calibrate(10 * np.eye(3)[labels], labels)
    assert 0.05 < found.temperature < 20


def test_no_shift_is_not_called_one_and_the_interval_covers_the_truth() -> None:
    data = problem(1500, 2)
    same = estimate_mix(
        data["source_logits"], data["source_labels"], data["source_logits"][::-1], n_bootstrap=30
    )
    assert not same.shifted
    moved = estimate_mix(data["source_logits"], data["source_labels"], data["target_logits"], n_bootstrap=30)
    assert moved.shifted
    assert (moved.low <= moved.target).all()
    assert (moved.target <= moved.high).all()
    assert (moved.low <= TARGET + 0.03).all()
    assert (moved.high >= TARGET - 0.03).all()


def test_a_class_without_source_labels_gets_no_share() -> None:
    labels = np.zeros(20, dtype=int)
    p = softmax(np.random.default_rng(0).normal(size=(20, 2)), axis=1)
    weights = bbse(labels, p, p)
    assert weights[1] == 0 or np.isfinite(weights).all()
    assert (weights * class_mix(labels, 2)).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("labels", "source", "target"),
    [
        (np.zeros(0, int), np.zeros((0, 2)), np.zeros((3, 2))),
        (np.zeros(3, int), np.zeros((3, 2)), np.zeros((0, 2))),
        (np.zeros(3, int), np.zeros((4, 2)), np.zeros((3, 2))),
        (np.full(3, 5), np.zeros((3, 2)), np.zeros((3, 2))),
        (np.zeros(3, int), np.full((3, 2), np.nan), np.zeros((3, 2))),
    ],
)
def test_impossible_input_is_refused(labels: np.ndarray, source: np.ndarray, target: np.ndarray) -> None:
    with pytest.raises(DataError):
        estimate_mix(source, labels, target)


def test_an_unknown_estimator_names_the_known_ones() -> None:
    with pytest.raises(DataError, match="bbse"):
        estimate_mix(np.zeros((2, 2)), np.array([0, 1]), np.zeros((2, 2)), method="ems")
