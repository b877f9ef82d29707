"""Metrics of predicted vote fractions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import gammaln

from galshift.evaluation.bootstrap import Statistics, _known, _numbered, _scored, _sums

VOTE_NAMES = ("nll", "mad", "rmse", "accuracy")


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


def vote_metrics(
    counts: np.ndarray,
    fractions: np.ndarray,
    concentration: np.ndarray,
    classes: Sequence[str],
    *,
    mean: Sequence[float],
    mean_concentration: float,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every number of predicted vote fractions, beside always saying the training's mean fractions.

    Parameters
    ----------
    counts : ndarray
        (N, K) votes, a row of NaN where unknown.
    fractions : ndarray
        (N, K) expected fractions, rows of sum 1.
    concentration : ndarray
        (N,) sum of the Dirichlet parameters.
    classes : sequence of str
    mean, mean_concentration
        Mean fractions of the training part, and the concentration that suits them best.
    groups, n_bootstrap, seed
        As for :func:`value_metrics`.

    Returns
    -------
    dict
        ``n``, ``n_groups``, ``n_unlabelled``, `VOTE_NAMES`, ``ci95``, ``per_class`` (bias, mad and rmse of
        each fraction) and ``training_mean``.
    """
    known, groups = _known(np.asarray(counts).sum(axis=1), groups)
    counts, fractions = (np.asarray(x, dtype=np.float64)[known] for x in (counts, fractions))
    concentration = np.asarray(concentration, dtype=np.float64)[known]
    n_groups, statistics = vote_statistics(counts, fractions, concentration, groups[known])
    always = np.broadcast_to(np.asarray(mean, dtype=np.float64), fractions.shape)
    flat = vote_statistics(counts, always, np.full(len(counts), mean_concentration), None)
    error = fractions - counts / counts.sum(axis=1, keepdims=True)
    per_class = {
        name: {"bias": float(e.mean()), "mad": float(np.abs(e).mean()), "rmse": float(np.sqrt((e**2).mean()))}
        for name, e in zip(classes, error.T, strict=True)
    }
    return {
        "n": len(counts),
        "n_groups": n_groups,
        "n_unlabelled": int((~known).sum()),
        **_scored(statistics, n_groups, n_bootstrap, seed),
        "per_class": per_class,
        "training_mean": {name: float(v[0]) for name, v in flat[1](np.ones((1, flat[0]))).items()},
        "n_bootstrap": n_bootstrap,
    }
