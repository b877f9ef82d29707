"""Whether a different class mix of the target is credible, and which network it leaves least to explain.

A gap between surveys fools every estimate of the class mix: what it makes look like another class counts as
one.  Two accounts that are fooled differently are therefore asked, the raw predictions and the estimate that
undoes the classifier's errors, and only what both say is believed.  ``tests/benchmarks/transfer.py`` measures
the rule.
"""

from __future__ import annotations

import numpy as np

from galshift.selection._base import Candidate
from galshift.selection._calibration import Calibration, calibrate
from galshift.selection.label_shift import (
    class_mix,
    expectation_maximisation,
    recognises_all,
    total_variation,
)

#: Total variation from the source's mix, less that between the accounts, above which a shift is acted upon.
CREDIBLE = 0.12
_VANISHED = 0.02  # a network that never answers a class knows nothing of its share
_LEAST = 1e-3  # share of a class below which no estimate is believed
_FOLDS = 4


def conservative_mix(source: np.ndarray, predicted: np.ndarray, estimated: np.ndarray) -> np.ndarray:
    """Return the class mix (K,) that departs from the source's only as far as both accounts agree.

    Parameters
    ----------
    source, predicted, estimated : ndarray
        (K,) mixes of the source's labels, of the target's predictions, and estimated for the target.
    """
    steps = np.stack([predicted - source, estimated - source])
    agree = steps[0] * steps[1] > 0
    mix = source + np.where(agree, np.sign(steps[0]) * np.abs(steps).min(axis=0), 0.0)
    return mix / mix.sum()


def shift_accounts(plain: Candidate) -> tuple[float, float]:
    """Return how far both accounts of the target's mix agree to leave the source's, and how far they differ.

    Both are total variations, in [0, 1]; zeros where the network is no witness: without the source's labels,
    or where it misses a class on the source or on the target.
    """
    if not (plain.has_source and plain.usable):
        return 0.0, 0.0
    if not recognises_all(plain.logits_source_val, plain.labels_source_val):
        return 0.0, 0.0
    source = class_mix(plain.labels_source_val, plain.n_classes)
    predicted = class_mix(plain.predictions_target, plain.n_classes)
    if (predicted < _VANISHED).any() or (source == 0).any():
        return 0.0, 0.0
    estimated = estimated_mix(plain)[0]
    agreed = total_variation(conservative_mix(source, predicted, estimated), source)
    return agreed, total_variation(predicted, estimated)


def suspected_shift(plain: Candidate) -> bool:
    """Return whether the source-only network hints at another class mix: no reason to force the source's."""
    return shift_accounts(plain)[0] > CREDIBLE


def credible_shift(plain: Candidate) -> bool:
    """Return whether the source-only network shows another class mix in the target, by both accounts.

    What they agree on must be larger than what they differ by: undoing a classifier's few errors changes its
    answers little, and an estimate that departs far from them mostly undoes the gap between the surveys.
    """
    agreed, differ = shift_accounts(plain)
    return agreed - differ > CREDIBLE


def credible_mix(plain: Candidate) -> np.ndarray | None:
    """Return the estimated class mix (K,) of the target where a shift is credible, else None."""
    return estimated_mix(plain)[0] if credible_shift(plain) else None


def estimated_mix(candidate: Candidate) -> tuple[np.ndarray, Calibration]:
    """Return the target's class mix (K,) by expectation maximisation, and the calibration it rests on."""
    found = calibrate(candidate.logits_source_val, candidate.labels_source_val)
    source = class_mix(candidate.labels_source_val, candidate.n_classes)
    mix = expectation_maximisation(found(candidate.logits_target), source).clip(_LEAST)
    return mix / mix.sum(), found


def remaining_gap(candidate: Candidate, seed: int = 0) -> float:
    """Return how well the domains are told apart once the source is weighed to the target's class mix.

    The area under the ROC curve of a cross-validated linear classifier on the features, in [0.5, 1]: 0.5
    where the class mix explains the whole difference.

    Parameters
    ----------
    candidate : Candidate
    seed : int
        Of the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    labels = candidate.labels_source_val
    source = class_mix(labels, candidate.n_classes)
    weights = (estimated_mix(candidate)[0] / np.maximum(source, _LEAST))[labels]
    x = np.concatenate([candidate.features_source_val, candidate.features_target])
    n_source, n_target = len(labels), len(candidate.features_target)
    if min(n_source, n_target) < _FOLDS:
        return 1.0
    domain = np.repeat([0, 1], [n_source, n_target])
    w = np.concatenate([weights * n_target / weights.sum(), np.ones(n_target)])
    score = np.empty(len(x))
    for fit, held in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(x, domain):
        scaler = StandardScaler().fit(x[fit])
        told = LogisticRegression(C=0.1, max_iter=500).fit(scaler.transform(x[fit]), domain[fit], w[fit])
        score[held] = told.decision_function(scaler.transform(x[held]))
    return max(float(roc_auc_score(domain, score, sample_weight=w)), 0.5)
