"""Whether a different class mix of the target is credible, and how far answers should follow it.

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
#: The same without what the accounts differ by, above which it is suspected.
SUSPECTED = 0.12
#: Evidence by which another network must be ahead of source-only to be asked instead.
CLEARLY = 0.05
#: Exponent of the ratio of the mixes in a correction.  1 is best for accuracy and 0 for the mean recall of
#: classes; F1 lies between, and a mix that is wrongly believed does half the harm.
STRENGTH = 0.5
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


def believed_mix(candidate: Candidate) -> np.ndarray:
    """Return the target's class mix (K,) as far as all accounts of a network agree on it."""
    source = class_mix(candidate.labels_source_val, candidate.n_classes)
    mix = conservative_mix(source, accounts(candidate)).clip(_LEAST)
    return mix / mix.sum()


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


def suspected_shift(plain: Candidate) -> bool:
    """Return whether the source-only network hints at another class mix: no reason to force the source's."""
    return shift_accounts(plain)[0] > SUSPECTED


def is_credible(told: Sequence[float]) -> bool:
    """Return whether the evidence of any network that forces no mix on the target is enough to act upon."""
    return max(told) > CREDIBLE


def clearest(told: Sequence[float]) -> int:
    """Return which network's evidence counts: the first one's, unless another's is clearly more."""
    best = int(np.argmax(told))
    return best if told[best] > told[0] + CLEARLY else 0


def credible_mix(plain: Candidate, *others: Candidate) -> np.ndarray | None:
    """Return the estimated class mix (K,) of the target where a shift is credible, else None.

    The source-only network makes it credible alone, or all on the mean; the clearest of them tells the mix.
    That is more than :func:`is_credible` asks: what chooses epochs by a mix makes every network confirm it.
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


def correction(candidate: Candidate) -> tuple[Calibration, np.ndarray]:
    """Return the calibration of a network's answers, and what to add (K,) to their logarithms for the mix."""
    source = class_mix(candidate.labels_source_val, candidate.n_classes)
    ratio = believed_mix(candidate) / np.maximum(source, _LEAST)
    return calibrate(candidate.logits_source_val, candidate.labels_source_val), STRENGTH * np.log(ratio)
