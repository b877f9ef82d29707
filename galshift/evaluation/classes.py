"""The numbers of ``metrics.json``: what each means, and its interval.

==================  ========================================================================================
accuracy            share of images whose most probable class is the true one
balanced_accuracy   mean recall over the classes that have images (absent classes are left out)
macro_f1            mean F1 over the classes that have images; F1 = 2 TP / (2 TP + FP + FN)
auroc               mean over classes of the one-versus-rest area under the ROC curve, ties counted half;
                    over classes with members and non-members, null when there is none
ece                 expected calibration error: top label, 15 equal-width bins, L1 (Naeini et al. 2015, AAAI;
                    Guo et al. 2017, arXiv:1706.04599, eq. 3); biased upwards for few images
brier               mean squared distance of the probabilities from the truth, summed over classes, 0 to 2
                    (Brier 1950); halve it for the two-class convention
nll                 mean negative natural logarithm of the true class's probability, floored at 1e-12
==================  ========================================================================================

``ci95`` are percentile intervals of a bootstrap over galaxies.  Where every replicate agrees (a perfect or a
hopeless classifier on few galaxies) the bootstrap claims a certainty that it does not have: proportions then
take Wilson's interval over the number of galaxies, other numbers have no interval (null).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.evaluation.bootstrap import (
    HEADLINE,
    Sums,
    percentile_interval,
    recall_and_f1,
    replicates,
    statistics,
    summarise,
    wilson_interval,
)

_PROPORTIONS = ("accuracy", "balanced_accuracy", "macro_f1")


def classification_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every headline number with its interval, the confusion table and the per-class scores.

    Parameters
    ----------
    labels : ndarray
        (N,) class indices, -1 where an image has none (left out and counted in ``n_unlabelled``); or (N, K)
        soft labels, of which the most probable class counts.
    probabilities : ndarray
        (N, K) in [0, 1], rows summing to one.
    classes : sequence of str
        K names.
    groups : ndarray, optional
        (N,) the galaxy of each image; default: every image is its own.
    n_bootstrap : int
        Replicates; 0 leaves the intervals out.
    seed : int

    Returns
    -------
    dict
        ``n``, ``n_groups``, ``n_unlabelled``, the headline numbers, ``ci95`` (name to [low, high]),
        ``majority_class``, ``majority_class_accuracy``, ``per_class`` and ``confusion`` (rows true).
        NaN where a number is not defined: precision of a class never predicted, anything of an absent class.

    Raises
    ------
    DataError
        When shapes disagree, or no image has a label.
    """
    labels, probabilities, groups, known = _checked(labels, probabilities, classes, groups)
    sums = summarise(labels, probabilities, groups)
    point = {name: float(value[0]) for name, value in statistics(sums, np.ones((1, sums.n_groups))).items()}
    confusion = sums.confusion.sum(axis=0).astype(int)
    counts = confusion.sum(axis=1)
    drawn = replicates(sums, n_bootstrap, seed)
    majority = int(counts.argmax())
    return {
        "n": len(labels),
        "n_groups": sums.n_groups,
        "n_unlabelled": int((~known).sum()),
        **point,
        "ci95": {name: _interval(name, drawn[name], point[name], sums) for name in drawn},
        "majority_class": classes[majority],
        "majority_class_accuracy": float(counts[majority] / counts.sum()),
        "per_class": per_class(confusion, classes),
        "confusion": confusion.tolist(),
        "n_bootstrap": n_bootstrap,
    }


def per_class(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall, f1 and n of each class from (K, K) counts, true class first."""
    recall, f1 = recall_and_f1(confusion)
    predicted = confusion.sum(axis=0)
    return {
        name: {
            "precision": float(confusion[k, k] / predicted[k]) if predicted[k] else float("nan"),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "n": int(confusion[k].sum()),
        }
        for k, name in enumerate(classes)
    }


def paired_differences(
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    classes: Sequence[str],
    *,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return ``after - before`` of every headline number, on the same galaxies in every replicate.

    Parameters
    ----------
    labels, classes, groups, n_bootstrap, seed
        As for :func:`classification_metrics`.
    before, after : ndarray
        (N, K) probabilities of two models for the same images in the same order.

    Returns
    -------
    dict
        For each headline name: ``difference``, ``ci95`` and ``share_above_zero`` (of the replicates); and
        ``n``, ``n_groups``, ``n_changed`` (images on which the two models disagree).
    """
    labels, before, groups_, known = _checked(labels, before, classes, groups)
    after = np.asarray(after, dtype=np.float64)[known]
    if after.shape != before.shape:
        raise DataError(f"the two models' probabilities have shapes {before.shape} and {after.shape}")
    pair = [summarise(labels, probabilities, groups_) for probabilities in (before, after)]
    ones = np.ones((1, pair[0].n_groups))
    points = [statistics(sums, ones) for sums in pair]
    drawn = [replicates(sums, n_bootstrap, seed) for sums in pair]
    found: dict[str, Any] = {
        "n": len(labels),
        "n_groups": pair[0].n_groups,
        "n_changed": int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
    }
    for name in HEADLINE:
        change = drawn[1][name] - drawn[0][name] if drawn[0] else np.zeros(0)
        finite = change[np.isfinite(change)]
        found[name] = {
            "difference": float(points[1][name][0] - points[0][name][0]),
            "ci95": list(percentile_interval(change)),
            "share_above_zero": float((finite > 0).mean()) if finite.size else float("nan"),
        }
    return found


def hard_labels(labels: np.ndarray | None, n: int) -> np.ndarray:
    """Return (N,) class indices, -1 where unknown, from hard, soft or missing labels."""
    if labels is None:
        return np.full(n, -1)
    labels = np.asarray(labels)
    if labels.ndim == 2:
        return np.where(np.isfinite(labels).all(axis=1), np.nan_to_num(labels).argmax(axis=1), -1)
    if np.issubdtype(labels.dtype, np.floating):
        whole = np.nan_to_num(labels, nan=-1.0)
        if not np.array_equal(whole, np.round(whole)):
            raise DataError(
                "these labels are continuous, not classes",
                hint="derive classes first, for instance with --label-column",
            )
        return whole.astype(int)
    return labels.astype(int)


def _checked(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, probabilities and groups of the labelled images, and which those are."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    labels = hard_labels(labels, len(probabilities))
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    if (
        probabilities.ndim != 2
        or probabilities.shape != (len(labels), len(classes))
        or len(groups) != len(labels)
    ):
        raise DataError(
            f"{len(labels)} labels, {len(groups)} groups and {len(classes)} classes do not fit "
            f"probabilities of shape {probabilities.shape}"
        )
    if labels.size and labels.max() >= len(classes):
        raise DataError(f"label {labels.max()} is beyond the {len(classes)} classes")
    if not np.isfinite(probabilities).all():
        raise DataError("probabilities are not finite", hint="look at the flagged images")
    known = labels >= 0
    if not known.any():
        raise DataError("no image has a label, so there is nothing to score against")
    return labels[known], probabilities[known], groups[known], known


def _interval(name: str, drawn: np.ndarray, point: float, sums: Sums) -> list[float]:
    low, high = percentile_interval(drawn)
    if high > low or not np.isfinite(point):
        return [low, high]
    if name not in _PROPORTIONS:
        return [float("nan"), float("nan")]
    n_groups = sums.n_groups
    if name != "accuracy":
        # A macro average is only as well known as its rarest class.
        present = sums.confusion.sum(axis=2) > 0
        n_groups = int(present.sum(axis=0)[present.any(axis=0)].min())
    low, high = wilson_interval(point * n_groups, n_groups)
    return [min(low, point), max(high, point)]
