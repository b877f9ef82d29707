"""Numbers under resampling weights, many replicates at once, and their intervals.

A replicate of the bootstrap draws galaxies, not images: several images of one galaxy stay together, so that
an interval does not shrink because a galaxy was photographed four times.  Everything that is a sum over
images is summed per galaxy first; a replicate is then one row of whole weights times those sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from galshift.errors import ConfigError, DataError
from galshift.evaluation.metric import Metric
from galshift.intervals import wilson_interval
from galshift.streams import numpy_stream

_CHUNK = 4_000_000  # weights held at once
_DRAWN = 500_000  # whole numbers that become weights at a time


@dataclass(frozen=True)
class Sample:
    """B weighted draws of the galaxies of a test set, at once.

    Attributes
    ----------
    weights : ndarray
        (B, G), how often each galaxy was drawn.
    group : ndarray
        (N,) int, the galaxy of each image.
    """

    weights: np.ndarray
    group: np.ndarray

    @cached_property
    def images(self) -> np.ndarray:
        """(B, N) weights of the images: those of their galaxies."""
        return self.weights[:, self.group]

    def mean(self, numbers: np.ndarray) -> np.ndarray:
        """Return the (B,) weighted means of (N,) `numbers`, one an image."""
        return self.images @ np.asarray(numbers, dtype=np.float64) / self.images.sum(axis=1)


class Scored(Protocol):
    """Images with labels and answers, summed per galaxy, of which samples are drawn."""

    n_groups: int

    def sample(self, weights: np.ndarray) -> Sample:
        """Return the draws that (B, G) `weights` stand for."""

    def trials(self, metric: Metric) -> int | None:
        """Return the number of galaxies that a share rests on; None for no interval without spread."""


def numbers_of(metrics: Sequence[Metric], scored: Scored, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return every metric for each of (B, G) galaxy `weights`, as (B,) arrays by key.

    Raises
    ------
    ConfigError
        When a metric gives another shape.
    """
    sample = scored.sample(weights)
    found = {}
    for metric in metrics:
        values = np.asarray(metric.function(sample), dtype=np.float64)
        if values.shape != (len(weights),):
            raise ConfigError(
                f"the metric '{metric.key}' gives shape {values.shape} for {len(weights)} samples",
                hint="its function must return one number a sample",
            )
        found[metric.key] = values
    return found


def point_values(metrics: Sequence[Metric], scored: Scored) -> dict[str, float]:
    """Return every metric on all images, by key."""
    found = numbers_of(metrics, scored, np.ones((1, scored.n_groups)))
    return {key: float(value[0]) for key, value in found.items()}


def scores(metrics: Sequence[Metric], scored: Scored, n_bootstrap: int, seed: int) -> dict[str, Any]:
    """Return every metric on all images, and ``ci95``, key to [low, high], empty without replicates.

    Where every replicate agrees (a perfect or a hopeless classifier on few galaxies) the bootstrap claims a
    certainty that it does not have: a share then takes Wilson's interval over the number of galaxies, where
    that is known, and other numbers have NaN.
    """
    point = point_values(metrics, scored)
    drawn = replicates(metrics, scored, n_bootstrap, seed)
    ci95 = {m.key: _interval(m, drawn[m.key], point[m.key], scored) for m in metrics if drawn}
    return {**point, "ci95": ci95}


def changes(
    metrics: Sequence[Metric], before: Scored, after: Scored, *, n_bootstrap: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return ``after - before`` of every metric, on the same galaxies in every replicate.

    Parameters
    ----------
    metrics : sequence of Metric
    before, after : Scored
        Two networks' answers for the same images in the same order.
    n_bootstrap, seed : int

    Returns
    -------
    dict
        Key to ``difference``, ``ci95`` and ``share_above_zero`` (of the replicates).
    """
    points = [point_values(metrics, one) for one in (before, after)]
    drawn = [replicates(metrics, one, n_bootstrap, seed) for one in (before, after)]
    found = {}
    for key in points[0]:
        change = drawn[1][key] - drawn[0][key] if drawn[0] else np.zeros(0)
        finite = change[np.isfinite(change)]
        found[key] = {
            "difference": points[1][key] - points[0][key],
            "ci95": list(percentile_interval(change)),
            "share_above_zero": float((finite > 0).mean()) if finite.size else float("nan"),
        }
    return found


def replicate_weights(n_groups: int, n_bootstrap: int, seed: int) -> Iterator[np.ndarray]:
    """Yield (B, G) draws of galaxies with replacement, `n_bootstrap` in all, in pieces that fit in memory.

    A piece stands in the place of the one before it.
    """
    generator = numpy_stream(seed, "evaluation", "bootstrap")
    piece = max(1, _CHUNK // max(n_groups, 1))
    chances = np.full(n_groups, 1 / n_groups)
    held = np.empty((min(piece, n_bootstrap), n_groups))
    few = max(1, _DRAWN // max(n_groups, 1))
    for start in range(0, n_bootstrap, piece):
        size = min(piece, n_bootstrap - start)
        for row in range(0, size, few):
            stop = min(row + few, size)
            held[row:stop] = generator.multinomial(n_groups, chances, size=stop - row)
        yield held[:size]


def replicates(
    metrics: Sequence[Metric], scored: Scored, n_bootstrap: int, seed: int
) -> dict[str, np.ndarray]:
    """Return (n_bootstrap,) replicates of every metric; the same seed draws the same galaxies."""
    weights = replicate_weights(scored.n_groups, n_bootstrap, seed)
    parts = [numbers_of(metrics, scored, piece) for piece in weights]
    return {m.key: np.concatenate([part[m.key] for part in parts]) for m in metrics} if parts else {}


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of replicates, NaN ones left out; (NaN, NaN) when none is left."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def numbered(groups: np.ndarray | None, n: int) -> tuple[np.ndarray, int]:
    """Return each of `n` images' galaxy as a number (n,), in the order of the sorted names, and how many."""
    if groups is None:
        return np.arange(n), n
    names, group = np.unique(groups, return_inverse=True)
    return group, len(names)


def group_sums(columns: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Return (G, C) sums of (N, C) columns over the images of each galaxy."""
    sums = np.zeros((n_groups, columns.shape[1]))
    np.add.at(sums, group, columns)
    return sums


def known_labels(labels: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return which of (N,) numbers are known, and the galaxy of each image.

    Raises
    ------
    DataError
        When none is.
    """
    known = np.isfinite(np.asarray(labels, dtype=np.float64))
    if not known.any():
        raise DataError("no image has a label, so there is nothing to score against")
    return known, np.arange(len(known)) if groups is None else np.asarray(groups)


def _interval(metric: Metric, drawn: np.ndarray, point: float, scored: Scored) -> list[float]:
    low, high = percentile_interval(drawn)
    if high > low:
        return [low, high]
    trials = scored.trials(metric) if metric.proportion and np.isfinite(point) else None
    if trials is None:
        return [float("nan"), float("nan")]
    low, high = wilson_interval(point * trials, trials)
    return [min(low, point), max(high, point)]
