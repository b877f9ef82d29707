"""Images with classes and probabilities, summed per galaxy, and weighted draws of those galaxies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from galshift.evaluation.bootstrap import Sample, numbered
from galshift.evaluation.metric import Metric

N_BINS = 15
_PIECE = 1 << 18  # weights that are sorted at a time
_PROBABILITY_FLOOR = 1e-12


@dataclass(frozen=True)
class ClassScored:
    """Labels and probabilities of images, and the sums per galaxy that the metrics need.

    Attributes
    ----------
    labels : ndarray
        (N,) in [0, K).
    probabilities : ndarray
        (N, K).
    group : ndarray
        (N,) int, the galaxy of each image.
    n_groups : int
    confusion : ndarray
        (G, K, K) image counts, true class first.
    losses : ndarray
        (G, 2) summed negative log likelihood and Brier score.
    bins : ndarray
        (G, N_BINS) summed (correct - confidence) of the images in each confidence bin.
    ranks : tuple of (order, starts, positive)
        For each class, images in order of rising probability, where each run of ties starts, and whether
        the image is of that class.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    group: np.ndarray
    n_groups: int
    confusion: np.ndarray
    losses: np.ndarray
    bins: np.ndarray
    ranks: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]

    def sample(self, weights: np.ndarray) -> ClassSample:
        """Return the draws that (B, G) `weights` stand for."""
        return ClassSample(weights, self.group, self)

    def trials(self, metric: Metric) -> int:
        """Return the number of galaxies that a share rests on."""
        if not metric.over_classes:
            return self.n_groups
        # A macro average is only as well known as its rarest class.
        present = self.confusion.sum(axis=2) > 0
        return int(present.sum(axis=0)[present.any(axis=0)].min())


@dataclass(frozen=True)
class ClassSample(Sample):
    """B weighted draws of the galaxies of a test set with classes; see :class:`Sample`.

    Attributes
    ----------
    scored : ClassScored
    """

    scored: ClassScored

    @property
    def labels(self) -> np.ndarray:
        """(N,) true classes."""
        return self.scored.labels

    @property
    def probabilities(self) -> np.ndarray:
        """(N, K)."""
        return self.scored.probabilities

    @cached_property
    def table(self) -> np.ndarray:
        """(B, K, K) weighted confusion tables, true class first."""
        confusion = self.scored.confusion
        flat = self.weights @ confusion.reshape(len(confusion), -1)
        return flat.reshape(-1, *confusion.shape[1:])

    @cached_property
    def total(self) -> np.ndarray:
        """(B,) weighted numbers of images."""
        return self.table.sum(axis=(1, 2))

    @cached_property
    def recall_and_f1(self) -> tuple[np.ndarray, np.ndarray]:
        """(B, K) each, NaN for a class without images in the draw."""
        return recall_and_f1(self.table)

    @cached_property
    def aurocs(self) -> np.ndarray:
        """(B, K) areas under the ROC curve of each class against the rest, NaN where there is no rest."""
        return np.stack([_auroc(one, self.images) for one in self.scored.ranks], axis=1)

    @cached_property
    def losses(self) -> np.ndarray:
        """(B, 2) mean negative log likelihoods and Brier scores."""
        return self.weights @ self.scored.losses / self.total[:, None]


def summarise(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray | None) -> ClassScored:
    """Return the per-galaxy sums of (N,) `labels` in [0, K) and (N, K) `probabilities`."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    n_classes = probabilities.shape[1]
    group, n_groups = numbered(groups, len(labels))
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    confusion = np.zeros((n_groups, n_classes, n_classes))
    np.add.at(confusion, (group, labels, predicted), 1)
    rows = np.arange(len(labels))
    nll = -np.log(np.maximum(probabilities[rows, labels], _PROBABILITY_FLOOR))
    brier = ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1)
    losses = np.zeros((n_groups, 2))
    np.add.at(losses, group, np.stack([nll, brier], axis=1))
    bins = np.zeros((n_groups, N_BINS))
    np.add.at(bins, (group, confidence_bin(confidence)), (predicted == labels) - confidence)
    ranks = _score_order(labels, probabilities)
    return ClassScored(labels, probabilities, group, n_groups, confusion, losses, bins, ranks)


def confidence_bin(confidence: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Return the equal-width bin of each confidence in [0, 1]; bin b holds (b / n, (b + 1) / n]."""
    return np.clip(np.ceil(np.asarray(confidence) * n_bins).astype(int) - 1, 0, n_bins - 1)


def recall_and_f1(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and F1 (..., K) of confusion tables (..., K, K); NaN for a class without true images."""
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    true, predicted = table.sum(axis=-1), table.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(true > 0, hits / true, np.nan)
        f1 = np.where(true > 0, 2 * hits / (true + predicted), np.nan)
    return recall, f1


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
    # Row by row the same, and in pieces, for it takes six arrays of the size of the weights.
    rows = max(1, _PIECE // max(weights.shape[1], 1))
    parts = [_auroc_of(score, weights[start : start + rows]) for start in range(0, len(weights), rows)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _auroc_of(score: tuple[np.ndarray, np.ndarray, np.ndarray], weights: np.ndarray) -> np.ndarray:
    order, starts, positive = score
    sorted_weights = weights[:, order]
    positives = np.add.reduceat(sorted_weights * positive, starts, axis=1)
    negatives = np.add.reduceat(sorted_weights * ~positive, starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    norm = positives.sum(axis=1) * negatives.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, (positives * below).sum(axis=1) / norm, np.nan)
