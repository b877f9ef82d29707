"""The numbers of :mod:`galshift.evaluation.numbers` as functions of weights on galaxies, for a bootstrap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import gammaln

VALUE_NAMES = (
    "bias", "mae", "rmse", "nmad", "outlier_fraction", "r2", "nll", "coverage68", "coverage95",
)  # fmt: skip
VOTE_NAMES = ("nll", "mad", "rmse", "accuracy")
_Z68, _Z95 = 1.0, 1.959963984540054

Statistics = Callable[[np.ndarray], dict[str, np.ndarray]]


def value_statistics(
    labels: np.ndarray, values: np.ndarray, sigmas: np.ndarray, groups: np.ndarray | None, threshold: float
) -> tuple[int, Statistics]:
    """Return the number of galaxies G, and a function of (B, G) weights to (B,) `VALUE_NAMES`.

    Parameters
    ----------
    labels, values, sigmas : ndarray
        (N,), all known.
    groups : ndarray or None
    threshold : float
        Of outliers.
    """
    group, n_groups = _numbered(groups, len(labels))
    r, pull = values - labels, np.abs(values - labels) / sigmas
    centred = labels - labels.mean()  # digits of the variance of a label far from 0
    nll = 0.5 * pull**2 + np.log(sigmas) + 0.5 * np.log(2 * np.pi)
    columns = [np.ones_like(r), r, np.abs(r), r**2, centred, centred**2, nll]
    sums = _sums(np.stack([*columns, np.abs(r) > threshold, pull <= _Z68, pull <= _Z95], 1), group, n_groups)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        n, bias, mae, square, first, second, loss, outlier, in68, in95 = (weights @ sums).T
        with np.errstate(invalid="ignore", divide="ignore"):
            r2 = 1 - square / (second - first**2 / n)
        found = (bias / n, mae / n, np.sqrt(square / n), nmad(r, weights[:, group]), outlier / n)
        found += (np.where(np.isfinite(r2), r2, np.nan), loss / n, in68 / n, in95 / n)
        return dict(zip(VALUE_NAMES, found, strict=True))

    return n_groups, statistics


def vote_statistics(
    counts: np.ndarray, fractions: np.ndarray, concentration: np.ndarray, groups: np.ndarray | None
) -> tuple[int, Statistics]:
    """Return the number of galaxies G, and a function of (B, G) weights to (B,) `VOTE_NAMES`.

    Parameters
    ----------
    counts, fractions : ndarray
        (N, K).
    concentration : ndarray
        (N,).
    groups : ndarray or None
    """
    group, n_groups = _numbered(groups, len(counts))
    error = fractions - counts / counts.sum(axis=1, keepdims=True)
    right = fractions.argmax(axis=1) == counts.argmax(axis=1)
    nll = -dirichlet_multinomial_log_p(counts, fractions * concentration[:, None])
    columns = [np.ones(len(counts)), nll, np.abs(error).mean(axis=1), (error**2).mean(axis=1), right]
    sums = _sums(np.stack(columns, axis=1), group, n_groups)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        n, loss, mad, square, correct = (weights @ sums).T
        found = (loss / n, mad / n, np.sqrt(square / n), correct / n)
        return dict(zip(VOTE_NAMES, found, strict=True))

    return n_groups, statistics


def dirichlet_multinomial_log_p(counts: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return (N,) log probabilities of (N, K) counts under Dirichlet parameters (N, K) (Mosimann 1962)."""
    n, total = counts.sum(axis=1), alpha.sum(axis=1)
    alpha = np.maximum(alpha, 1e-13)
    each = gammaln(counts + alpha) - gammaln(alpha) - gammaln(counts + 1)
    return gammaln(total) + gammaln(n + 1) - gammaln(n + total) + each.sum(axis=1)


def nmad(residuals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (B,) 1.4826 times the median absolute deviation of (N,) residuals under (B, N) whole weights."""
    order = np.argsort(residuals, kind="stable")
    middle = _median(np.broadcast_to(residuals[order], weights.shape), weights[:, order])
    deviations = np.abs(residuals[None] - middle[:, None])
    order = np.argsort(deviations, axis=1, kind="stable")
    deviations, weights = (np.take_along_axis(x, order, axis=1) for x in (deviations, weights))
    return 1.4826 * _median(deviations, weights)


def _median(ordered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median of rising rows (B, N), each value as often as its weight says."""
    reached = np.cumsum(weights, axis=1)
    total = reached[:, -1:]
    rows = np.arange(len(ordered))
    low, high = ((reached >= place).argmax(axis=1) for place in ((total + 1) // 2, total // 2 + 1))
    return 0.5 * (ordered[rows, low] + ordered[rows, high])


def _numbered(groups: np.ndarray | None, n: int) -> tuple[np.ndarray, int]:
    if groups is None:
        return np.arange(n), n
    names, group = np.unique(groups, return_inverse=True)
    return group, len(names)


def _sums(columns: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """(G, C) sums of (N, C) columns over the images of each galaxy."""
    sums = np.zeros((n_groups, columns.shape[1]))
    np.add.at(sums, group, columns)
    return sums
