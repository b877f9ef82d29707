"""The numbers of ``metrics.json`` where labels are classes: one row a metric, and the tables beside them.

``ci95`` are percentile intervals of a bootstrap over galaxies.  Where every replicate agrees (a perfect or a
hopeless classifier on few galaxies) the bootstrap claims a certainty that it does not have: proportions then
take Wilson's interval over the number of galaxies, other numbers have no interval (null).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.evaluation.bootstrap import changes, point_values, scores
from galshift.evaluation.class_sample import ClassSample, summarise
from galshift.evaluation.metric import Metric, add, metrics_for
from galshift.evaluation.per_class import per_class, per_class_intervals


def _accuracy(sample: ClassSample) -> np.ndarray:
    return np.trace(sample.table, axis1=1, axis2=2) / sample.total


def _balanced_accuracy(sample: ClassSample) -> np.ndarray:
    return np.nanmean(sample.recall_and_f1[0], axis=1)


def _macro_f1(sample: ClassSample) -> np.ndarray:
    return np.nanmean(sample.recall_and_f1[1], axis=1)


def _mean_auroc(sample: ClassSample) -> np.ndarray:
    values, known = sample.aurocs, np.isfinite(sample.aurocs).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known > 0, np.nansum(values, axis=1) / known, np.nan)


def _calibration_error(sample: ClassSample) -> np.ndarray:
    return np.abs(sample.weights @ sample.scored.bins).sum(axis=1) / sample.total


def _confidence_error(sample: ClassSample) -> np.ndarray:
    confidence = sample.probabilities.max(axis=1)
    right = sample.probabilities.argmax(axis=1) == sample.labels
    return sample.mean(np.where(right, 1 - confidence, confidence))


ACCURACY = add(
    Metric(
        "accuracy",
        "accuracy",
        _accuracy,
        proportion=True,
        shown=("table", "figure", "headline", "seeds"),
        phrase="{name} {value:.2f}",
        summary="share of images whose most probable class is the true one",
    )
)
BALANCED_ACCURACY = add(
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        _balanced_accuracy,
        proportion=True,
        shown=("table", "seeds"),
        over_classes=True,
        phrase="{name} {value:.2f}",
        summary="mean recall over the classes that have images",
        source="Brodersen et al. 2010 (ICPR)",
    )
)
MACRO_F1 = add(
    Metric(
        "macro_f1",
        "macro F1",
        _macro_f1,
        proportion=True,
        shown=("table", "figure", "headline", "seeds"),
        over_classes=True,
        phrase="{name} {value:.2f}",
        summary="mean F1 = 2 TP / (2 TP + FP + FN) over the classes that have images",
        source="van Rijsbergen 1979",
    )
)
AUROC = add(
    Metric(
        "auroc",
        "AUROC",
        _mean_auroc,
        phrase="{name} {value:.2f}",
        summary="mean over classes of the one-versus-rest area under the ROC curve, ties counted half",
        source="Hanley & McNeil 1982 (Radiology 143, 29)",
    )
)
ECE = add(
    Metric(
        "ece",
        "calibration error",
        _calibration_error,
        better="lower",
        floor=False,
        phrase="{name} {value:.2f}",
        summary="expected calibration error: top label, 15 equal-width bins; biased upwards for few images",
        source="Naeini et al. 2015 (AAAI); Guo et al. 2017 (arXiv:1706.04599, eq. 3)",
    )
)
BRIER = add(
    Metric(
        "brier",
        "Brier score",
        lambda sample: sample.losses[:, 1],
        better="lower",
        shown=(),
        floor=False,
        summary="mean squared distance of the probabilities from the truth, summed over classes, 0 to 2",
        source="Brier 1950; halve it for the two-class convention",
    )
)
NLL = add(
    Metric(
        "nll",
        "NLL",
        lambda sample: sample.losses[:, 0],
        better="lower",
        shown=(),
        floor=False,
        summary="mean negative natural logarithm of the true class's probability, floored at 1e-12",
    )
)
# As the tables of SIDDA have them, to hold one table against the other.
ECE_SIDDA = add(
    Metric(
        "ece_sidda",
        "calibration error as SIDDA's",
        _confidence_error,
        better="lower",
        shown=(),
        floor=False,
        summary="mean distance of confidence from 1 where right and from 0 where wrong; not 0 for a "
        "calibrated network",
        source="deepskies/SIDDA, src/scripts/test_calibration.py:23-48, in bins that cover all",
    )
)
BRIER_SIDDA = add(
    Metric(
        "brier_sidda",
        "Brier score as SIDDA's",
        lambda sample: sample.losses[:, 1] / sample.probabilities.shape[1],
        better="lower",
        shown=(),
        floor=False,
        summary="mean over classes of the two-class Brier score: `brier` over the number of classes",
        source="deepskies/SIDDA, src/scripts/test_calibration.py:131-135; DeepMerge I for two classes",
    )
)
_ROWS = (ACCURACY, BALANCED_ACCURACY, MACRO_F1, AUROC, ECE, BRIER, NLL, ECE_SIDDA, BRIER_SIDDA)


def class_metrics() -> tuple[Metric, ...]:
    """Return the metrics of classifiers, those of other packages last."""
    return metrics_for("class", _ROWS)


def classification_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    groups: np.ndarray | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every metric with its interval, the confusion table and the per-class scores.

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
        ``n``, ``n_groups``, ``n_unlabelled``, the metrics by key, ``ci95`` (key to [low, high]),
        ``majority_class``, ``majority_class_accuracy``, ``per_class`` (whose ``ci95`` are of precision and
        recall) and ``confusion`` (rows true).
        NaN where a number is not defined: precision of a class never predicted, anything of an absent class.

    Raises
    ------
    DataError
        When shapes disagree, or no image has a label.
    """
    labels, probabilities, groups, known = _checked(labels, probabilities, classes, groups)
    scored = summarise(labels, probabilities, groups)
    confusion = scored.confusion.sum(axis=0).astype(int)
    counts = confusion.sum(axis=1)
    majority = int(counts.argmax())
    rows = per_class(confusion, classes)
    if n_bootstrap:
        for name, ci95 in per_class_intervals(scored, classes, n_bootstrap, seed).items():
            rows[name]["ci95"] = ci95
    return {
        "n": len(labels),
        "n_groups": scored.n_groups,
        "n_unlabelled": int((~known).sum()),
        **scores(class_metrics(), scored, n_bootstrap, seed),
        "majority_class": classes[majority],
        "majority_class_accuracy": float(counts[majority] / counts.sum()),
        "per_class": rows,
        "confusion": confusion.tolist(),
        "n_bootstrap": n_bootstrap,
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
    """Return ``after - before`` of every metric, on the same galaxies in every replicate.

    Parameters
    ----------
    labels, classes, groups, n_bootstrap, seed
        As for :func:`classification_metrics`.
    before, after : ndarray
        (N, K) probabilities of two models for the same images in the same order.

    Returns
    -------
    dict
        For each key of a metric: ``difference``, ``ci95`` and ``share_above_zero`` (of the replicates); and
        ``n``, ``n_groups``, ``n_changed`` (images on which the two models disagree).

    Raises
    ------
    DataError
        When shapes do not agree, a probability is not finite, or no image has a label.
    """
    labels, before, groups_, known = _checked(labels, before, classes, groups)
    after = np.asarray(after, dtype=np.float64)[known]
    if after.shape != before.shape:
        raise DataError(f"the two models' probabilities have shapes {before.shape} and {after.shape}")
    pair = [summarise(labels, probabilities, groups_) for probabilities in (before, after)]
    return {
        "n": len(labels),
        "n_groups": pair[0].n_groups,
        "n_changed": int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
        **changes(class_metrics(), *pair, n_bootstrap=n_bootstrap, seed=seed),
    }


def always_majority(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return what always answering the most common class reaches, by key, where that is worth comparing with.

    Parameters
    ----------
    metrics : mapping
        From :func:`classification_metrics`.
    """
    counts = [row["n"] for row in metrics["per_class"].values()]
    labels = np.repeat(np.arange(len(counts)), counts)
    answers = np.tile(np.eye(len(counts))[int(np.argmax(counts))], (len(labels), 1))
    rows = [one for one in class_metrics() if one.floor]
    return point_values(rows, summarise(labels, answers, None))


def hard_labels(labels: np.ndarray | None, n: int) -> np.ndarray:
    """Return (N,) class indices, -1 where unknown, from hard, soft or missing labels.

    Raises
    ------
    DataError
        When the labels are continuous.
    """
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
