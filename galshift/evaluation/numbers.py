"""The numbers of ``metrics.json`` where labels are numbers: continuous labels, and votes for classes.

================  ====================================================================================
bias              mean of (predicted - true), in the label's unit
mae, rmse         mean absolute and root mean square error, in the label's unit
nmad              1.4826 median(|r - median(r)|) of the residuals r: a spread that outliers do not move
outlier_fraction  share of images with |r| above ``outlier_threshold``, the standard deviation of the training
                  labels: as far off as knowing nothing usually is
r2                1 - sum r^2 / sum (true - mean(true))^2; at most 1, below 0 where a constant is better
nll               mean of -ln N(true | predicted, sigma^2) [nat]
coverage68, 95    share of images within the predicted central 68.27 % and 95 % interval; more is too unsure
================  ====================================================================================

Of a redshift ``photo_z`` holds bias, NMAD and the share of outliers of (predicted - true) / (1 + true), where
an outlier is off by more than 0.15 (Hildebrandt et al. 2010, A&A 523, A31).
Of votes: ``nll`` is that of the Dirichlet-multinomial distribution of the counts, ``mad`` and ``rmse``
compare expected with observed fractions (mean over classes), ``accuracy`` the expected with the observed
winner.  ``ci95`` are percentile intervals of a bootstrap over galaxies, as for classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.evaluation.bootstrap import percentile_interval, replicate_weights
from galshift.evaluation.number_statistics import (
    Statistics,
    value_statistics,
    vote_statistics,
)

PHOTO_Z_OUTLIER = 0.15


def value_metrics(
    labels: np.ndarray,
    values: np.ndarray,
    sigmas: np.ndarray,
    *,
    mean: float,
    sd: float,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every number of one continuous label with its interval, beside always saying the training mean.

    Parameters
    ----------
    labels : ndarray
        (N,), NaN where unknown (left out and counted in ``n_unlabelled``).
    values, sigmas : ndarray
        (N,) predictions and their standard deviations, in the label's unit.
    mean, sd : float
        Of the training part's labels.
    groups : ndarray, optional
        (N,) the galaxy of each image; default: every image is its own.
    n_bootstrap : int
        Replicates; 0 leaves the intervals out.
    seed : int

    Returns
    -------
    dict
        ``n``, ``n_groups``, ``n_unlabelled``, `VALUE_NAMES`, ``ci95``, ``outlier_threshold``, and
        ``training_mean``: the same numbers of predicting ``mean`` with ``sd`` for every image.

    Raises
    ------
    DataError
        When no image has a label.
    """
    known, groups = _known(labels, groups)
    labels, values, sigmas = (np.asarray(x, dtype=np.float64)[known] for x in (labels, values, sigmas))
    n_groups, statistics = value_statistics(labels, values, sigmas, groups[known], sd)
    constant = value_statistics(labels, np.full_like(labels, mean), np.full_like(labels, sd), None, sd)
    return {
        "n": len(labels),
        "n_groups": n_groups,
        "n_unlabelled": int((~known).sum()),
        **_scored(statistics, n_groups, n_bootstrap, seed),
        "outlier_threshold": sd,
        "training_mean": {name: float(v[0]) for name, v in constant[1](np.ones((1, constant[0]))).items()},
        "mean_of_training": mean,
        "n_bootstrap": n_bootstrap,
    }


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


def photo_z_metrics(
    labels: np.ndarray,
    values: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return bias, nmad and outlier_fraction of the errors over 1 + z, with their intervals.

    Parameters
    ----------
    labels, values : ndarray
        (N,) true redshifts, NaN where unknown, and predicted ones.
    groups, n_bootstrap, seed
        As for :func:`value_metrics`.
    """
    labels = np.asarray(labels, dtype=np.float64)
    known, groups = _known(np.where(labels > -1, labels, np.nan), groups)  # -1 and -99 stand for none
    true = np.asarray(labels, dtype=np.float64)[known]
    errors = (np.asarray(values, dtype=np.float64)[known] - true) / (1 + true)
    zero, one = np.zeros_like(errors), np.ones_like(errors)
    n_groups, statistics = value_statistics(zero, errors, one, groups[known], PHOTO_Z_OUTLIER)
    found = _scored(statistics, n_groups, n_bootstrap, seed)
    names = ("bias", "nmad", "outlier_fraction")
    ci95 = {name: found["ci95"][name] for name in names if name in found["ci95"]}
    return {**{name: found[name] for name in names}, "ci95": ci95, "outlier_threshold": PHOTO_Z_OUTLIER}


def is_redshift(name: str) -> bool:
    """Return whether a label is called like a redshift: ``redshift``, ``z``, ``z_spec``, ``zphot`` ..."""
    plain = name.casefold().replace("_", "")
    return "redshift" in plain or plain in ("z", "zspec", "zphot", "specz", "photz", "ztrue", "zbest")


def paired_changes(
    before: tuple[int, Statistics],
    after: tuple[int, Statistics],
    names: Sequence[str],
    *,
    n_bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Return ``after - before`` of every number, on the same galaxies in every replicate.

    Parameters
    ----------
    before, after : tuple of int and callable
        From :func:`value_statistics` or :func:`vote_statistics` of the same images.
    names : sequence of str
        Of the numbers.
    n_bootstrap, seed : int
    """
    ones = np.ones((1, before[0]))
    points = [statistics(ones) for _, statistics in (before, after)]
    drawn = [_replicates(statistics, n, n_bootstrap, seed) for n, statistics in (before, after)]
    found = {}
    for name in names:
        change = drawn[1][name] - drawn[0][name] if drawn[0] else np.zeros(0)
        found[name] = {
            "difference": float(points[1][name][0] - points[0][name][0]),
            "ci95": list(percentile_interval(change)),
        }
    return found


def _known(labels: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(np.asarray(labels, dtype=np.float64))
    if not known.any():
        raise DataError("no image has a label, so there is nothing to score against")
    return known, np.arange(len(known)) if groups is None else np.asarray(groups)


def _replicates(statistics: Statistics, n_groups: int, n_bootstrap: int, seed: int) -> dict[str, np.ndarray]:
    parts = [statistics(weights) for weights in replicate_weights(n_groups, n_bootstrap, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _scored(statistics: Statistics, n_groups: int, n_bootstrap: int, seed: int) -> Mapping[str, Any]:
    """Every number on all images, and its interval; none where every replicate agrees."""
    point = statistics(np.ones((1, n_groups)))
    drawn = _replicates(statistics, n_groups, n_bootstrap, seed)
    intervals = {name: percentile_interval(values) for name, values in drawn.items()}
    unknown = (float("nan"), float("nan"))
    ci95 = {name: list(pair if pair[1] > pair[0] else unknown) for name, pair in intervals.items()}
    return {**{name: float(value[0]) for name, value in point.items()}, "ci95": ci95}
