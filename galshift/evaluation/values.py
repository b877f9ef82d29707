"""The numbers of ``metrics.json`` where labels are continuous: one row a metric.

Of a redshift ``photo_z`` holds bias, NMAD and the share of outliers of (predicted - true) / (1 + true), where
an outlier is off by more than 0.15 (Hildebrandt et al. 2010, A&A 523, A31).  ``ci95`` are percentile
intervals of a bootstrap over galaxies, as for classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from galshift.evaluation.bootstrap import (
    Sample,
    group_sums,
    known_labels,
    numbered,
    point_values,
    scores,
)
from galshift.evaluation.metric import Metric, add, metrics_for

PHOTO_Z_OUTLIER = 0.15
_Z68, _Z95 = 1.0, 1.959963984540054


@dataclass(frozen=True)
class ValueScored:
    """Labels and predictions of images, and the sums per galaxy that the metrics need.

    Attributes
    ----------
    labels, values, sigmas : ndarray
        (N,) true and predicted values, and predicted standard deviations.
    group : ndarray
        (N,) int, the galaxy of each image.
    n_groups : int
    sums : ndarray
        (G, 10) of what :class:`ValueSample` has the totals of.
    """

    labels: np.ndarray
    values: np.ndarray
    sigmas: np.ndarray
    group: np.ndarray
    n_groups: int
    sums: np.ndarray

    def sample(self, weights: np.ndarray) -> ValueSample:
        """Return the draws that (B, G) `weights` stand for."""
        return ValueSample(weights, self.group, self)

    def trials(self, metric: Metric) -> None:
        """Return None: where every replicate agrees there is no interval."""


@dataclass(frozen=True)
class ValueSample(Sample):
    """B weighted draws of the galaxies of a test set with one continuous label; see :class:`Sample`.

    Attributes
    ----------
    scored : ValueScored
    """

    scored: ValueScored

    @property
    def residuals(self) -> np.ndarray:
        """(N,) predicted less true values."""
        return self.scored.values - self.scored.labels

    @cached_property
    def totals(self) -> tuple[np.ndarray, ...]:
        """(B,) each: number, sums of r, |r|, r^2, centred label, its square, NLL, outliers, in 68, in 95."""
        return tuple((self.weights @ self.scored.sums).T)

    def share(self, column: int) -> np.ndarray:
        """Return the (B,) means of one column of the sums."""
        return self.totals[column] / self.totals[0]


def value_scored(
    labels: np.ndarray, values: np.ndarray, sigmas: np.ndarray, groups: np.ndarray | None, threshold: float
) -> ValueScored:
    """Return the per-galaxy sums of one continuous label.

    Parameters
    ----------
    labels, values, sigmas : ndarray
        (N,), all known.
    groups : ndarray or None
    threshold : float
        Of outliers.
    """
    group, n_groups = numbered(groups, len(labels))
    r, pull = values - labels, np.abs(values - labels) / sigmas
    centred = labels - labels.mean()  # digits of the variance of a label far from 0
    nll = 0.5 * pull**2 + np.log(sigmas) + 0.5 * np.log(2 * np.pi)
    columns = [np.ones_like(r), r, np.abs(r), r**2, centred, centred**2, nll]
    columns += [np.abs(r) > threshold, pull <= _Z68, pull <= _Z95]
    return ValueScored(
        labels, values, sigmas, group, n_groups, group_sums(np.stack(columns, 1), group, n_groups)
    )


def _r2(sample: ValueSample) -> np.ndarray:
    n, _, _, square, first, second = sample.totals[:6]
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = 1 - square / (second - first**2 / n)
    return np.where(np.isfinite(r2), r2, np.nan)


RMSE = add(
    Metric(
        "rmse",
        "RMSE",
        lambda sample: np.sqrt(sample.share(3)),
        labels="value",
        better="lower",
        shown=("table", "figure", "headline", "seeds"),
        summary="root mean square error, in the label's unit",
    )
)
NMAD = add(
    Metric(
        "nmad",
        "NMAD",
        lambda sample: nmad(sample.residuals, sample.images),
        labels="value",
        better="lower",
        shown=("table", "seeds"),
        summary="1.4826 median(|r - median(r)|) of the residuals r: a spread that outliers do not move",
        source="Hoaglin, Mosteller & Tukey 1983",
    )
)
BIAS = add(
    Metric(
        "bias",
        "bias",
        lambda sample: sample.share(1),
        labels="value",
        better="zero",
        shown=("table", "headline", "seeds"),
        phrase="{name} {value:+.3g}",
        summary="mean of (predicted - true), in the label's unit",
    )
)
R2 = add(
    Metric(
        "r2",
        "R²",
        _r2,
        labels="value",
        interval=False,
        summary="1 - sum r^2 / sum (true - mean(true))^2; at most 1, below 0 where a constant is better",
    )
)
OUTLIERS = add(
    Metric(
        "outlier_fraction",
        "outliers",
        lambda sample: sample.share(7),
        labels="value",
        better="lower",
        proportion=True,
        interval=False,
        summary="share of images off by more than the standard deviation of the training labels",
    )
)
COVERAGE68 = add(
    Metric(
        "coverage68",
        "within 1 σ",
        lambda sample: sample.share(8),
        labels="value",
        proportion=True,
        shown=("error bars", "headline"),
        phrase="{value:.0%} within 1 sigma",
        summary="share of images within the predicted central 68.27 % interval; more is too unsure",
    )
)
COVERAGE95 = add(
    Metric(
        "coverage95",
        "within 95%",
        lambda sample: sample.share(9),
        labels="value",
        proportion=True,
        shown=("error bars",),
        summary="share of images within the predicted central 95 % interval; more is too unsure",
    )
)
VALUE_NLL = add(
    Metric(
        "nll",
        "NLL",
        lambda sample: sample.share(6),
        labels="value",
        better="lower",
        shown=("error bars",),
        summary="mean of -ln N(true | predicted, sigma^2) [nat]",
    )
)
MAE = add(
    Metric(
        "mae",
        "mean |error|",
        lambda sample: sample.share(2),
        labels="value",
        better="lower",
        shown=(),
        summary="mean absolute error, in the label's unit",
    )
)
_ROWS = (RMSE, NMAD, BIAS, R2, OUTLIERS, COVERAGE68, COVERAGE95, VALUE_NLL, MAE)
_PHOTO_Z = (BIAS, NMAD, OUTLIERS)


def continuous_metrics() -> tuple[Metric, ...]:
    """Return the metrics of one continuous label, those of other packages last."""
    return metrics_for("value", _ROWS)


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
        ``n``, ``n_groups``, ``n_unlabelled``, the metrics by key, ``ci95``, ``outlier_threshold``, and
        ``training_mean``: the same numbers of predicting ``mean`` with ``sd`` for every image.

    Raises
    ------
    DataError
        When no image has a label.
    """
    known, groups = known_labels(labels, groups)
    labels, values, sigmas = (np.asarray(x, dtype=np.float64)[known] for x in (labels, values, sigmas))
    scored = value_scored(labels, values, sigmas, groups[known], sd)
    constant = value_scored(labels, np.full_like(labels, mean), np.full_like(labels, sd), None, sd)
    return {
        "n": len(labels),
        "n_groups": scored.n_groups,
        "n_unlabelled": int((~known).sum()),
        **scores(continuous_metrics(), scored, n_bootstrap, seed),
        "outlier_threshold": sd,
        "training_mean": point_values(continuous_metrics(), constant),
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
    known, groups = known_labels(np.where(labels > -1, labels, np.nan), groups)  # -1 and -99 stand for none
    true = np.asarray(labels, dtype=np.float64)[known]
    errors = (np.asarray(values, dtype=np.float64)[known] - true) / (1 + true)
    zero, one = np.zeros_like(errors), np.ones_like(errors)
    scored = value_scored(zero, errors, one, groups[known], PHOTO_Z_OUTLIER)
    return {**scores(_PHOTO_Z, scored, n_bootstrap, seed), "outlier_threshold": PHOTO_Z_OUTLIER}


def is_redshift(name: str) -> bool:
    """Return whether a label is called like a redshift: ``redshift``, ``z``, ``z_spec``, ``zphot`` ..."""
    plain = name.casefold().replace("_", "")
    return "redshift" in plain or plain in ("z", "zspec", "zphot", "specz", "photz", "ztrue", "zbest")


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
