"""Whether a different class mix of the target is credible.

A gap between surveys fools every estimate of the class mix: what it makes look like another class counts as
one.  Three accounts that are fooled differently are therefore asked, the answers, the mean of the calibrated
posteriors, and the estimate that undoes the classifier's errors; only what all say is believed.  Under a gap
they part: answers on the wrong side of a border are half-hearted, which the means show, and an estimate that
takes them at their word exaggerates.  ``tests/benchmarks/transfer.py`` measures the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from galshift.selection._base import Candidate
from galshift.selection._calibration import Calibration, calibrate
from galshift.selection.label_shift import (
    class_mix,
    expectation_maximisation,
    recognises_all,
    total_variation,
)

#: Total variation from the source's mix, less that between the accounts, above which a network makes a shift
#: credible.
CREDIBLE = 0.1
#: Total variation of the answers of every network from the source's mix, from which on all have seen it.
SEEN = 0.15
#: Evidence by which another network must be ahead of source-only to be asked instead.
CLEARLY = 0.05
_VANISHED = 0.02  # share of a class below which an account knows nothing of it
_LEAST = 1e-3  # share of a class below which no estimate is believed


def conservative_mix(source: np.ndarray, accounts: np.ndarray) -> np.ndarray:
    """Return the class mix (K,) that departs from the source's only as far as all accounts agree.

    Parameters
    ----------
    source : ndarray
        (K,) mix of the source's labels.
    accounts : ndarray
        (A, K) mixes of the target.
    """
    steps = np.asarray(accounts) - source
    agree = (np.sign(steps) == np.sign(steps[0])).all(axis=0)
    mix = source + np.where(agree, np.sign(steps[0]) * np.abs(steps).min(axis=0), 0.0)
    return mix / mix.sum()


def accounts(candidate: Candidate) -> np.ndarray:
    """Return (3, K) mixes of the target: of the answers, of the mean posterior, and estimated."""
    estimated, calibration = estimated_mix(candidate)
    answered = class_mix(candidate.predictions_target, candidate.n_classes)
    return np.stack([answered, calibration(candidate.logits_target).mean(axis=0), estimated])


def shift_accounts(witness: Candidate) -> tuple[float, float]:
    """Return how far all accounts of the target's mix agree to leave the source's, and how far they differ.

    Both are total variations, in [0, 1]; zeros where the network is no witness: without the source's labels,
    or where it misses a class on the source, or an account one on the target, as an estimate does that was
    driven to its bound by a gap.
    """
    if not (witness.has_source and witness.usable):
        return 0.0, 0.0
    if not recognises_all(witness.logits_source_val, witness.labels_source_val):
        return 0.0, 0.0
    source = class_mix(witness.labels_source_val, witness.n_classes)
    told = accounts(witness)
    if (told < _VANISHED).any() or (source == 0).any():
        return 0.0, 0.0
    differ = max(total_variation(one, other) for one, other in combinations(told, 2))
    return total_variation(conservative_mix(source, told), source), differ


def evidence(witness: Candidate) -> float:
    """Return the total variation that a network's accounts agree on, less what they differ by, in [-1, 1]."""
    agreed, differ = shift_accounts(witness)
    return agreed - differ


def is_another_mix(plain: Candidate, *others: Candidate) -> bool:
    """Return whether the target's class mix is taken for another than the source's.

    The accounts of source-only agree on it, and the answers of every other network depart from it too, also
    of those that were pulled towards the source's mix: what a gap makes of one it seldom makes of all.
    """
    if not others or evidence(plain) <= CREDIBLE:
        return False
    source = class_mix(plain.labels_source_val, plain.n_classes)
    answered = (class_mix(one.predictions_target, one.n_classes) for one in (plain, *others))
    return min(total_variation(mix, source) for mix in answered) >= SEEN


def clearest(told: Sequence[float]) -> int:
    """Return which network's evidence counts: the first one's, unless another's is clearly more."""
    best = int(np.argmax(told))
    return best if told[best] > told[0] + CLEARLY else 0


def credible_mix(plain: Candidate, *others: Candidate) -> np.ndarray | None:
    """Return the estimated class mix (K,) of the target where a shift is credible, else None.

    The source-only network makes it credible alone, or all on the mean; the clearest of them tells the mix.
    """
    witnesses = (plain, *others)
    told = [evidence(one) for one in witnesses]
    if max(told[0], float(np.mean(told))) <= CREDIBLE:
        return None
    return estimated_mix(witnesses[clearest(told)])[0]


def estimated_mix(candidate: Candidate) -> tuple[np.ndarray, Calibration]:
    """Return the target's class mix (K,) by expectation maximisation, and the calibration it rests on."""
    found = calibrate(candidate.logits_source_val, candidate.labels_source_val)
    source = class_mix(candidate.labels_source_val, candidate.n_classes)
    mix = expectation_maximisation(found(candidate.logits_target), source).clip(_LEAST)
    return mix / mix.sum(), found
