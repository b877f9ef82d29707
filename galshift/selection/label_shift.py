"""The target's class mix from unlabelled target images, and what to do about it.

All estimators assume label shift: within a class, source and target images look alike to the classifier.
Where the images differ too (another survey), they are off by how much the classifier errs there: the interval
covers chance only.

References
----------
BBSE: Lipton, Wang & Smola 2018 (ICML, arXiv:1802.03916).  RLLS: Azizzadenesheli et al. 2019 (ICLR,
arXiv:1903.09734).  EM: Saerens, Latinne & Decaestecker 2002 (Neural Computation 14, 21); with bias-corrected
temperature scaling Alexandari, Kundaje & Shrikumar 2020 (ICML, arXiv:1901.06852).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar, nnls
from scipy.special import log_softmax

from galshift.errors import DataError
from galshift.selection._calibration import calibrate

_TINY = 1e-12
#: How far apart two class mixes may be, in total variation, before it is worth a warning.
LARGE_SHIFT = 0.15


def class_mix(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the share (K,) of each class among labels (N,); negative labels do not count."""
    counts = np.bincount(labels[labels >= 0], minlength=n_classes).astype(float)
    return counts / max(counts.sum(), 1.0)


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Return half the summed absolute difference of two class mixes, in [0, 1]."""
    return float(np.abs(np.asarray(p) - np.asarray(q)).sum() / 2)


def joint_confusion(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return (K, K) ``C[i, j]``, the probability that the answer is i and the label j.

    Parameters
    ----------
    labels : ndarray
        (M,) source labels.
    answers : ndarray
        (M, K) probabilities, or one-hot predictions.
    """
    n_classes = answers.shape[1]
    return answers.T @ np.eye(n_classes)[labels] / len(labels)


def bbse(labels: np.ndarray, source: np.ndarray, target: np.ndarray, *, soft: bool = True) -> np.ndarray:
    """Return importance weights ``p_target(k) / p_source(k)`` by black-box shift estimation.

    Solves ``C w = q`` for w >= 0 by least squares and scales w so that the target's mix sums to one.

    Parameters
    ----------
    labels : ndarray
        (M,) labels of held-out source images.
    source, target : ndarray
        (M, K) and (N, K) predicted probabilities.
    soft : bool
        False counts predictions in place of averaging probabilities.

    Returns
    -------
    ndarray
        (K,); 0 for a class without source labels.

    Raises
    ------
    DataError
        When there is nothing to estimate from.
    """
    _check(labels, source, target)
    answers = [p if soft else np.eye(p.shape[1])[p.argmax(axis=1)] for p in (source, target)]
    weights, _ = nnls(joint_confusion(labels, answers[0]), answers[1].mean(axis=0))
    return _scaled(weights, class_mix(labels, source.shape[1]))


def rlls(
    labels: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    *,
    soft: bool = True,
    delta: float = 0.05,
    trust: float = 1.0,
) -> np.ndarray:
    """Return importance weights ``1 + trust * theta`` by regularised learning under label shift.

    ``theta`` minimises ``|C theta - b| + rho |theta|`` with ``b = q - C 1`` and ``rho`` the bound on the
    error of C for M images that holds with probability ``1 - delta``: few images pull the weights to 1.

    Parameters
    ----------
    labels, source, target, soft
        As for `bbse`.
    delta : float
        In (0, 1).
    trust : float
        In [0, 1].

    Returns
    -------
    ndarray
        (K,), not negative.
    """
    _check(labels, source, target)
    answers = [p if soft else np.eye(p.shape[1])[p.argmax(axis=1)] for p in (source, target)]
    confusion, k = joint_confusion(labels, answers[0]), source.shape[1]
    gap = answers[1].mean(axis=0) - confusion.sum(axis=1)
    bound = np.log(2 * k / delta) / len(labels)
    rho = 3 * (2 * bound / 3 + np.sqrt(2 * bound))

    def theta(log_ridge: float) -> np.ndarray:
        return np.linalg.solve(confusion.T @ confusion + np.exp(log_ridge) * np.eye(k), confusion.T @ gap)

    def cost(log_ridge: float) -> float:
        step = theta(log_ridge)
        return float(np.linalg.norm(confusion @ step - gap) + rho * np.linalg.norm(step))

    # The minimum lies on the path of ridge solutions, or at no shift at all.
    best = minimize_scalar(cost, bounds=(-30.0, 10.0), method="bounded")
    step = theta(best.x) if best.fun < np.linalg.norm(gap) else np.zeros(k)
    return _scaled(np.clip(1 + trust * step, 0, None), class_mix(labels, k))


def expectation_maximisation(
    target: np.ndarray,
    prior_source: np.ndarray,
    *,
    start: np.ndarray | None = None,
    tolerance: float = 1e-7,
    max_iterations: int = 2000,
) -> np.ndarray:
    """Return the class mix (K,) of the target that makes calibrated source posteriors most likely.

    Parameters
    ----------
    target : ndarray
        (N, K) probabilities, calibrated on the source.
    prior_source : ndarray
        (K,) class mix that they are calibrated to.
    start : ndarray, optional
        (K,) where to begin; default: `prior_source`.
    tolerance : float
        Largest change of a share at which it stops.
    max_iterations : int
    """
    likelihood = target / np.maximum(prior_source, _TINY)
    prior = np.asarray(prior_source if start is None else start, dtype=float)
    for _ in range(max_iterations):
        posterior = likelihood * prior
        posterior /= posterior.sum(axis=1, keepdims=True).clip(_TINY)
        updated = posterior.mean(axis=0)
        if np.abs(updated - prior).max() < tolerance:
            return updated
        prior = updated
    return prior


def corrected(probabilities: np.ndarray, prior_source: np.ndarray, prior_target: np.ndarray) -> np.ndarray:
    """Return (N, K) posteriors for the target's class mix, from those for the source's.

    Parameters
    ----------
    probabilities : ndarray
        (N, K), calibrated on the source.
    prior_source, prior_target : ndarray
        (K,) class mixes.
    """
    moved = probabilities * (np.asarray(prior_target) / np.maximum(prior_source, _TINY))
    return moved / moved.sum(axis=1, keepdims=True).clip(_TINY)


@dataclass(frozen=True)
class MixEstimate:
    """The target's class mix, estimated.

    Attributes
    ----------
    source, target : ndarray
        (K,) class mix of the source's held-out images, and the estimate for the target.
    low, high : ndarray
        (K,) 95 % bootstrap interval of `target`.
    method : str
    """

    source: np.ndarray
    target: np.ndarray
    low: np.ndarray
    high: np.ndarray
    method: str

    @property
    def shift(self) -> float:
        """Total variation between the two mixes, in [0, 1]."""
        return total_variation(self.source, self.target)

    @property
    def shifted(self) -> bool:
        """Whether the shift is large, and some class's interval excludes the source's share."""
        outside = (self.source < self.low) | (self.source > self.high)
        return bool(self.shift > LARGE_SHIFT and outside.any())


METHODS = ("em", "bbse", "rlls")


def estimate_mix(
    logits_source: np.ndarray,
    labels: np.ndarray,
    logits_target: np.ndarray,
    *,
    method: str = "em",
    n_bootstrap: int = 50,
    seed: int = 0,
) -> MixEstimate:
    """Estimate the target's class mix from a classifier's logits, with an interval.

    Parameters
    ----------
    logits_source, labels : ndarray
        (M, K) and (M,) of held-out source images.
    logits_target : ndarray
        (N, K).
    method : str
        ``em`` (after bias-corrected temperature scaling), ``bbse`` or ``rlls``.
    n_bootstrap : int
        Resamplings of source and target images; 0 gives an interval of no width.
    seed : int

    Raises
    ------
    DataError
        When there is nothing to estimate from, or no such method.
    """
    if method not in METHODS:
        raise DataError(f"unknown estimator '{method}' of the class mix", hint=", ".join(METHODS))
    _check(labels, logits_source, logits_target)
    point = _estimate(logits_source, labels, logits_target, method)
    rng = np.random.default_rng(seed)
    drawn = [point]
    for _ in range(n_bootstrap):
        rows = [rng.integers(0, n, n) for n in (len(labels), len(logits_target))]
        drawn.append(
            _estimate(logits_source[rows[0]], labels[rows[0]], logits_target[rows[1]], method, start=point)
        )
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return MixEstimate(class_mix(labels, logits_source.shape[1]), point, low, high, method)


def recognises_all(scores: np.ndarray, labels: np.ndarray) -> bool:
    """Tell whether (N, K) `scores` are right for some image of every class of (N,) `labels`.

    A class that is never recognised leaves no trace of how much of it another data set holds.
    """
    return set(labels.tolist()) == set(labels[scores.argmax(axis=1) == labels].tolist())


def _estimate(
    logits_source: np.ndarray,
    labels: np.ndarray,
    logits_target: np.ndarray,
    method: str,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """One estimate of the target's mix."""
    prior = class_mix(labels, logits_source.shape[1])
    if method == "em":
        target = calibrate(logits_source, labels)(logits_target)
        return expectation_maximisation(target, prior, start=start)
    source, target = (np.exp(log_softmax(logits, axis=1)) for logits in (logits_source, logits_target))
    weights = (bbse if method == "bbse" else rlls)(labels, source, target)
    return weights * prior


def _scaled(weights: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Scale weights so that the target's mix sums to one; no shift where they are all zero."""
    total = float(weights @ prior)
    return weights / total if total > _TINY else (prior > 0).astype(float)


def _check(labels: np.ndarray, source: np.ndarray, target: np.ndarray) -> None:
    """Refuse what nothing can be estimated from."""
    if not len(labels) or not len(target):
        raise DataError("the class mix cannot be estimated without source and target images")
    if len(labels) != len(source) or source.shape[1] != target.shape[1]:
        raise DataError(
            f"{len(labels)} labels, source {source.shape} and target {target.shape} do not fit together"
        )
    if labels.min() < 0 or labels.max() >= source.shape[1]:
        raise DataError("every source label must be one of the classes")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise DataError("outputs are not finite")
