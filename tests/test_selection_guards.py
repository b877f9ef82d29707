"""Warnings after an adaptation: each fires on what it is for, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from galshift.selection._base import Candidate
from galshift.selection.guards import adversary, collapse, little_known, negative_transfer, shifted_mix
from galshift.selection.label_shift import MixEstimate

CLASSES = ("merger", "spiral", "elliptical")
EVEN = np.full(3, 1 / 3)


def of(labels: np.ndarray, sharpness: float = 3.0, source_right: float = 1.0) -> Candidate:
    """Predictions of these target classes, and a share of right answers on a balanced source."""
    logits = sharpness * np.eye(3)[labels]
    truth = np.arange(90) % 3
    said = np.where(np.arange(90) < 90 * source_right, truth, (truth + 1) % 3)
    return Candidate(logits, logits, np.eye(3)[said], np.eye(3)[said], truth, 3)


def test_healthy_predictions_raise_nothing() -> None:
    assert collapse(of(np.arange(90) % 3), CLASSES, EVEN) == []


def test_a_class_that_disappears_is_named() -> None:
    (line,) = collapse(of(np.arange(90) % 2), CLASSES, EVEN)
    assert "elliptical" in line
    assert "33%" in line


def test_a_rare_class_may_be_missing() -> None:
    assert collapse(of(np.arange(90) % 2), CLASSES, np.array([0.49, 0.49, 0.02])) == []


def test_one_class_for_everything_is_a_collapse() -> None:
    lines = collapse(of(np.zeros(90, int)), CLASSES, EVEN)
    assert any("collapsed" in line and "100%" in line for line in lines)


def test_the_same_predictions_are_right_where_they_are_expected() -> None:
    labels = np.r_[np.zeros(85, int), np.ones(3, int), np.full(2, 2)]
    lines = collapse(of(labels, 6.0), CLASSES, np.array([0.94, 0.03, 0.03]))
    assert lines == []


def test_entropy_at_zero_is_told() -> None:
    (line,) = collapse(of(np.arange(90) % 3, 50.0), CLASSES, EVEN)
    assert "doubts" in line


def test_outputs_that_are_not_finite_are_told() -> None:
    bad = of(np.arange(90) % 3)
    bad.logits_target[0, 0] = np.inf
    assert collapse(bad, CLASSES, EVEN) == ["Some outputs on the target are not finite."]


@pytest.mark.parametrize(("after", "told"), [(0.8, True), (0.97, False), (1.0, False)])
def test_what_adaptation_cost_on_the_source(after: float, told: bool) -> None:
    labels = np.arange(90) % 3
    lines = negative_transfer(of(labels, source_right=after), of(labels, source_right=1.0))
    assert bool(lines) is told


def test_a_discriminator_at_chance_from_the_first_epoch() -> None:
    ln2 = float(np.log(2))
    warm = {"phase": "warm-up", "loss": 1.0}
    stuck = [warm, *({"phase": "adapt", "domain": ln2 + e} for e in (0.002, -0.004, 0.001))]
    assert len(adversary(stuck)) == 1
    won = [warm, {"phase": "adapt", "domain": 0.5}, {"phase": "adapt", "domain": ln2}]
    assert adversary(won) == []
    assert adversary([warm, {"phase": "adapt", "mmd": 0.1}]) == []


def test_a_shifted_mix_is_told_with_the_way_out_for_methods_that_align() -> None:
    target = np.array([0.05, 0.6, 0.35])
    moved = MixEstimate(EVEN, target, target - 0.03, target + 0.03, "em")
    (line,) = shifted_mix(moved, CLASSES, aligns=False)
    assert "5% merger" in line
    assert "forces" not in line
    assert "forces" in shifted_mix(moved, CLASSES, aligns=True)[0]
    same = MixEstimate(EVEN, EVEN, EVEN - 0.1, EVEN + 0.1, "em")
    assert shifted_mix(same, CLASSES, aligns=True) == []


def test_a_target_of_which_little_looks_known_is_warned_of() -> None:
    assert little_known("target", 0.8) == []
    (line,) = little_known("target", 0.12)
    assert "Only 12% of target" in line
