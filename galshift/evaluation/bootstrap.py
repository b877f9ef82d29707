"""Statistics of a classifier under resampling weights, many replicates at once.

A replicate of the bootstrap draws galaxies, not images: several images of one galaxy stay together, so that
an interval does not shrink because a galaxy was photographed four times.  Everything that is a sum over
images is summed per galaxy first; a replicate is then one row of integer weights times those sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.streams import numpy_stream

Statistics = Callable[[np.ndarray], dict[str, np.ndarray]]


HEADLINE = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece", "brier", "nll")
N_BINS = 15
_PROBABILITY_FLOOR = 1e-12
_CHUNK = 4_000_000  # weights held at once


@dataclass(frozen=True)
class Sums:
    """Per-galaxy sums from which every statistic follows.

    Attributes
    ----------
    group : ndarray
        (N,) int, the galaxy of each image, numbered in the order of the sorted group names.
    n_groups : int
    confusion : ndarray
        (G, K, K) image counts, true class first.
    losses : ndarray
        (G, 2) summed negative log likelihood and Brier score.
    bins : ndarray
        (G, N_BINS) summed (correct - confidence) of the images in each confidence bin.
    scores : tuple of (order, starts, positive)
        For each class, images in order of rising probability, where each run of ties starts, and whether
        the image is of that class.
    """

    group: np.ndarray
    n_groups: int
    confusion: np.ndarray
    losses: np.ndarray
    bins: np.ndarray
    scores: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]


def summarise(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> Sums:
    """Return the per-galaxy sums of (N,) `labels` in [0, K) and (N, K) `probabilities`."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    n_classes = probabilities.shape[1]
    names, group = np.unique(groups, return_inverse=True)
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    confusion = np.zeros((len(names), n_classes, n_classes))
    np.add.at(confusion, (group, labels, predicted), 1)
    rows = np.arange(len(labels))
    nll = -np.log(np.maximum(probabilities[rows, labels], _PROBABILITY_FLOOR))
    brier = ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1)
    losses = np.zeros((len(names), 2))
    np.add.at(losses, group, np.stack([nll, brier], axis=1))
    bins = np.zeros((len(names), N_BINS))
    np.add.at(bins, (group, confidence_bin(confidence)), (predicted == labels) - confidence)
    return Sums(group, len(names), confusion, losses, bins, _score_order(labels, probabilities))


def confidence_bin(confidence: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Return the equal-width bin of each confidence in [0, 1]; bin b holds (b / n, (b + 1) / n]."""
    return np.clip(np.ceil(np.asarray(confidence) * n_bins).astype(int) - 1, 0, n_bins - 1)


def statistics(sums: Sums, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return every headline statistic for each of (B, G) galaxy `weights`, as (B,) arrays.

    A class without images in a replicate is left out of that replicate's macro averages; the AUROC is NaN
    where fewer than one class has both members and non-members.
    """
    n_classes = sums.confusion.shape[1]
    table = (weights @ sums.confusion.reshape(sums.n_groups, -1)).reshape(-1, n_classes, n_classes)
    total = table.sum(axis=(1, 2))
    losses = weights @ sums.losses / total[:, None]
    recall, f1 = recall_and_f1(table)
    return {
        "accuracy": np.trace(table, axis1=1, axis2=2) / total,
        "balanced_accuracy": np.nanmean(recall, axis=1),
        "macro_f1": np.nanmean(f1, axis=1),
        "auroc": _nanmean(np.stack([_auroc(score, weights[:, sums.group]) for score in sums.scores], axis=1)),
        "ece": np.abs(weights @ sums.bins).sum(axis=1) / total,
        "brier": losses[:, 1],
        "nll": losses[:, 0],
    }


def recall_and_f1(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and F1 (..., K) of confusion tables (..., K, K); NaN for a class without true images."""
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    true, predicted = table.sum(axis=-1), table.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(true > 0, hits / true, np.nan)
        f1 = np.where(true > 0, 2 * hits / (true + predicted), np.nan)
    return recall, f1


def replicate_weights(n_groups: int, n_bootstrap: int, seed: int) -> Iterator[np.ndarray]:
    """Yield (B, G) draws of galaxies with replacement, `n_bootstrap` in all, in pieces that fit in memory."""
    generator = numpy_stream(seed, "evaluation", "bootstrap")
    piece = max(1, _CHUNK // max(n_groups, 1))
    for start in range(0, n_bootstrap, piece):
        size = min(piece, n_bootstrap - start)
        yield generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=size).astype(np.float64)


def replicates(sums: Sums, n_bootstrap: int, seed: int) -> dict[str, np.ndarray]:
    """Return (n_bootstrap,) replicates of every headline statistic; the same seed draws the same galaxies."""
    parts = [statistics(sums, weights) for weights in replicate_weights(sums.n_groups, n_bootstrap, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in HEADLINE} if parts else {}


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of replicates, NaN ones left out; (NaN, NaN) when none is left."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson_interval(successes: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return Wilson's (1927) 95 % interval of a proportion; (0, 1) when `n` is 0."""
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def _score_order(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
    """Sort the images once per class, so that each replicate's AUROC costs one cumulative sum."""
    found = []
    for index in range(probabilities.shape[1]):
        order = np.argsort(probabilities[:, index], kind="stable")
        score = probabilities[order, index]
        starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]]) if len(score) else np.zeros(0, int)
        found.append((order, starts, labels[order] == index))
    return tuple(found)


def _auroc(score: tuple[np.ndarray, np.ndarray, np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mann-Whitney form of the area under the ROC curve, ties counted half; weights (B, N) -> (B,)."""
    order, starts, positive = score
    sorted_weights = weights[:, order]
    positives = np.add.reduceat(sorted_weights * positive, starts, axis=1)
    negatives = np.add.reduceat(sorted_weights * ~positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    norm = positives.sum(axis=1) * negatives.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, (positives * below).sum(axis=1) / norm, np.nan)


def _nanmean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN, NaN where nothing is left, and no warning."""
    count = np.isfinite(values).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, np.nansum(values, axis=-1) / count, np.nan)


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
