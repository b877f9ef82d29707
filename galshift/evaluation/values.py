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

from typing import Any

import numpy as np

from galshift.evaluation.bootstrap import (
    Statistics,
    _known,
    _numbered,
    _scored,
    _sums,
)

VALUE_NAMES = (
    "bias", "mae", "rmse", "nmad", "outlier_fraction", "r2", "nll", "coverage68", "coverage95",
)  # fmt: skip

_Z68, _Z95 = 1.0, 1.959963984540054


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
