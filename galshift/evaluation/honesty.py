"""What may be said of a data set without labels, and the warnings that go with small ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.evaluation.classes import ACCURACY

FEW_GALAXIES = 50
_FEW_PER_CLASS = 20
_WIDE = 0.2
_Z95 = 1.959963984540054


def labels_needed(share: float = 0.5, half_width: float = 0.05) -> int:
    """Return how many labelled galaxies fix an accuracy near `share` to +- `half_width` at 95 %.

    The normal approximation of the binomial, ``n = z^2 p (1 - p) / h^2``; with ``p = 0.5`` no accuracy needs
    more.
    """
    return int(np.ceil(_Z95**2 * share * (1 - share) / half_width**2 - 1e-9))


def unlabelled_summary(
    probabilities: np.ndarray, classes: Sequence[str], *, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Return what is known of a data set without labels: no accuracy, but mix, confidence and entropy.

    Parameters
    ----------
    probabilities : ndarray
        (N, K).
    classes : sequence of str
    groups : ndarray, optional
        (N,) the galaxy of each image.

    Returns
    -------
    dict
        ``n``, ``n_groups``, ``labelled`` (false), ``predicted_mix`` (share of each class among the most
        probable), ``mean_probability``, ``mean_confidence``, ``mean_entropy`` [nat], ``share_confident``
        (above 0.9) and ``labels_needed_for_5_percent`` (number of labelled galaxies, at worst).
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    confidence = probabilities.max(axis=1)
    share = np.bincount(probabilities.argmax(axis=1), minlength=len(classes)) / max(len(probabilities), 1)
    return {
        "n": len(probabilities),
        "n_groups": len(probabilities) if groups is None else len(np.unique(groups)),
        "labelled": False,
        "predicted_mix": dict(zip(classes, share.tolist())),
        "mean_probability": dict(zip(classes, probabilities.mean(axis=0).tolist())),
        "mean_confidence": float(confidence.mean()),
        "mean_entropy": float(entropy(probabilities).mean()),
        "share_confident": float((confidence > 0.9).mean()),
        "labels_needed_for_5_percent": labels_needed(),
    }


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy [nat] of each row of (N, K) probabilities, in [0, ln K]."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return np.maximum(-(probabilities * logs).sum(axis=1), 0.0)


def few_galaxies(name: str, n: int, of_what: str = "") -> list[str]:
    """Return the sentence that `name` has too few galaxies, and nothing where `n` are enough.

    `of_what` follows the number: ``" in its test set"``.
    """
    return [f"Too few galaxies: {name} has only {n}{of_what}."] if n < FEW_GALAXIES else []


def plain_warnings(name: str, metrics: Mapping[str, Any]) -> list[str]:
    """Return sentences that a reader should see before believing the metrics of data set `name`.

    Parameters
    ----------
    name : str
    metrics : mapping
        From :func:`galshift.evaluation.classes.classification_metrics`.
    """
    found = []
    low, high = metrics.get("ci95", {}).get(ACCURACY.key, (None, None))
    interval = f" (accuracy {low:.2f} to {high:.2f})" if low is not None else ""
    few = few_galaxies(
        name,
        metrics["n_groups"],
        f" in its test set; its numbers could be quite different on another sample{interval}",
    )
    if few:
        found += few
    elif low is not None and high - low > _WIDE:
        found.append(
            f"Too few galaxies: the accuracy on {name} is known only to between {low:.2f} and {high:.2f}."
        )
    counts = {label: row["n"] for label, row in metrics["per_class"].items()}
    absent = [label for label, n in counts.items() if n == 0]
    rare = [f"{label} ({n})" for label, n in counts.items() if 0 < n < _FEW_PER_CLASS]
    if absent:
        found.append(f"{name} holds no {_and(absent)}: macro averages are over the classes that are there.")
    if rare and metrics["n_groups"] >= FEW_GALAXIES:
        found.append(f"Few test images of {_and(rare)} in {name}: scores for these classes are uncertain.")
    if metrics[ACCURACY.key] <= metrics["majority_class_accuracy"]:
        found.append(
            f"On {name} the classifier is no more accurate than always answering "
            f"'{metrics['majority_class']}' ({metrics['majority_class_accuracy']:.2f})."
        )
    never = [
        label
        for k, label in enumerate(counts)
        if counts[label] and not any(row[k] for row in metrics["confusion"])
    ]
    if never:
        found.append(f"On {name} the classifier never answers {' or '.join(never)}.")
    return found


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
