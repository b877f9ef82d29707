"""When another class mix is believed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from galshift.doubt.choice import choose
from galshift.selection._base import Candidate
from galshift.selection.label_shift import class_mix
from galshift.selection.mix_evidence import (
    accounts,
    clearest,
    conservative_mix,
    credible_mix,
    estimated_mix,
    evidence,
    is_another_mix,
)

EVEN = np.array([0.5, 0.5])


def gaussians(
    share: float, n: int = 400, *, apart: float = 3.0, offset: float = 0.0, seed: int = 0
) -> tuple[Candidate, np.ndarray]:
    """Two Gaussians with exact posteriors; class 0 has `share` of the target; and the truth.

    `offset` moves the target along the axis that tells the classes apart.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for fraction, shift in ((0.5, 0.0), (share, offset)):
        labels = (rng.random(n) >= fraction).astype(int)
        x = apart * (labels - 0.5) + shift + rng.normal(size=n)
        parts.append((np.stack([x, rng.normal(size=n)], axis=1), labels))
    (source, labels), (target, truth) = parts
    # Log odds of N(a/2, 1) : N(-a/2, 1) are a x.
    logits = [np.stack([-apart * x[:, 0], apart * x[:, 0]], axis=1) / 2 for x in (source, target)]
    return Candidate(target, logits[1], source, logits[0], labels, 2), truth


def credible_shift(*witnesses: Candidate) -> bool:
    """Whether networks together show another mix."""
    return credible_mix(*witnesses) is not None


def test_only_what_all_accounts_say_is_believed() -> None:
    source = np.full(3, 1 / 3)
    told = np.array([[0.2, 0.5, 0.3], [0.1, 0.4, 0.5], [0.15, 0.45, 0.4]])
    # Class 0: all lower, the smallest step; class 1: all higher; class 2: they disagree, so it stays.
    expected = np.array([0.2, 0.4, 1 / 3]) / (0.2 + 0.4 + 1 / 3)
    np.testing.assert_allclose(conservative_mix(source, told), expected)
    np.testing.assert_allclose(conservative_mix(source, np.array([source, [0.8, 0.1, 0.1]])), source)


def test_the_accounts_are_what_theory_says_of_two_gaussians() -> None:
    """Of N(-1, 1) and N(1, 1) the border errs for Phi(-1) of each, the mean posterior for more."""
    error = norm.cdf(-1)
    half = quad(lambda x: norm.pdf(x, -1) * expit(2 * x), -12, 12)[0]
    candidate, _ = gaussians(0.2, 20000, apart=2.0)
    answered, soft, estimated = accounts(candidate)[:, 0]
    assert answered == pytest.approx(0.2 * (1 - error) + 0.8 * error, abs=0.01)
    assert soft == pytest.approx(0.2 * (1 - half) + 0.8 * half, abs=0.01)
    assert estimated == pytest.approx(0.2, abs=0.01)
    # All leave 0.5 downwards: the mean posterior least, the estimate most.
    agreed, differ = 0.5 - soft, soft - estimated
    assert evidence(candidate) == pytest.approx(agreed - differ, abs=0.01)


@pytest.mark.parametrize(("share", "believed"), [(0.1, True), (0.9, True), (0.5, False), (0.45, False)])
def test_a_large_shift_is_believed_and_a_small_one_not(share: float, believed: bool) -> None:
    seen = gaussians(share, 2000)[0]
    assert credible_shift(seen) is believed
    assert is_another_mix(seen, gaussians(share, seed=1)[0]) is believed
    assert not is_another_mix(seen, gaussians(0.5)[0])  # one network of two has not seen it
    assert not is_another_mix(seen)  # alone


def test_a_gap_between_surveys_is_not_believed_to_be_another_mix() -> None:
    """Of classes 2 apart a shift of 0.6 makes Phi(1.6) and Phi(-0.4) class 1: 0.645."""
    moved, _ = gaussians(0.5, 4000, apart=2.0, offset=0.6)
    assert class_mix(moved.predictions_target, 2)[1] == pytest.approx(0.645, abs=0.02)
    assert not credible_shift(moved)
    assert not is_another_mix(moved, moved)


def test_a_network_that_never_answers_a_class_is_no_witness() -> None:
    c, _ = gaussians(0.5)
    blind = Candidate(
        c.features_target,
        c.logits_target + np.array([18, 0]),
        c.features_source_val,
        c.logits_source_val,
        c.labels_source_val,
        2,
    )
    assert not credible_shift(blind)
    assert not credible_shift(Candidate(c.features_target, c.logits_target, None, None, None, 2))


def test_the_estimated_mix_is_the_true_one() -> None:
    candidate, truth = gaussians(0.15, 4000)
    mix, _ = estimated_mix(candidate)
    np.testing.assert_allclose(mix, class_mix(truth, 2), atol=0.02)


def test_an_estimate_at_its_bound_is_no_witness() -> None:
    """Of one class in a hundred nothing is left once errors are undone, as where a gap does it."""
    assert evidence(gaussians(0.01, 2000)[0]) == 0.0
    assert evidence(gaussians(0.05, 2000)[0]) > 0.2


def test_the_clearest_witness_tells_the_mix() -> None:
    weak, strong, even = gaussians(0.25, 2000)[0], gaussians(0.05, 2000)[0], gaussians(0.5, 2000)[0]
    assert clearest([0.1, 0.2]) == 1
    assert clearest([0.1, 0.14]) == 0  # not clearly more
    assert clearest([0.2, 0.1]) == 0
    np.testing.assert_array_equal(credible_mix(weak, strong), estimated_mix(strong)[0])
    np.testing.assert_array_equal(credible_mix(strong, even), estimated_mix(strong)[0])  # alone is enough
    np.testing.assert_array_equal(credible_mix(even, strong), estimated_mix(strong)[0])  # on the mean
    assert credible_mix(even, weak) is None


def test_where_every_network_sees_another_mix_the_first_stays() -> None:
    weak, strong = gaussians(0.2, 2000)[0], gaussians(0.25, 2000, apart=4.0)[0]
    choice = choose({"source-only": weak, "coral": strong})
    assert choice.another_mix
    assert choice.chosen == "source-only"
    # A selector that the user named decides alone.
    named = choose({"source-only": weak, "coral": strong}, "infomax")
    assert not named.another_mix
    even = gaussians(0.5, 2000, apart=4.0)[0]
    assert not choose({"source-only": weak, "coral": even}).another_mix


def test_a_known_mix_counts_against_epochs_that_drift_from_it() -> None:
    from dataclasses import replace

    from galshift.selection import DEFAULT_EPOCH, SELECTORS

    score = SELECTORS.get(DEFAULT_EPOCH)().score
    right, _ = gaussians(0.1)
    drifted, _ = gaussians(0.5)
    assert score(drifted) > score(right)  # balanced answers carry more information
    told = [replace(c, prior_target=np.array([0.1, 0.9])) for c in (right, drifted)]
    assert score(told[0]) > score(told[1])
    predicted = class_mix(drifted.predictions_target, 2)
    assert score(drifted) - score(told[1]) == pytest.approx(3 * abs(predicted[0] - 0.1))


def test_adapt_warns_of_a_credible_shift_and_names_what_aligning_does() -> None:
    from galshift.methods import METHODS
    from galshift.verbs.adapt.warnings import adaptation_warnings

    moved, same = gaussians(0.1)[0], gaussians(0.5)[0]
    lines = adaptation_warnings(moved, moved, (), ("merger", "spiral"), METHODS.get("coral"))
    assert len(lines) == 1
    assert "another mix" in lines[0]
    assert "forces" in lines[0]
    assert adaptation_warnings(same, same, (), ("merger", "spiral"), METHODS.get("coral")) == []
