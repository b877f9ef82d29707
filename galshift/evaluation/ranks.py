"""Ranks and what is read from them, without the second that importing a statistics library takes."""

from __future__ import annotations

import numpy as np


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks (N,) from 1 of `values` (N,), finite; equal values share the mean of their ranks."""
    _, which, number = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(number)
    return (last - (number - 1) / 2)[which]


def roc_curve(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of negatives and of positives that score at least as much as each threshold.

    Parameters
    ----------
    positive : ndarray
        (N,) bool, of both kinds.
    scores : ndarray
        (N,) finite.

    Returns
    -------
    tuple of ndarray
        (T,) each, from (0, 0) to (1, 1): the corners of the curve, without points on a straight line
        between their neighbours.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of the images that share a score
    found = np.cumsum(positive[order])[last]
    false = np.flatnonzero(last) + 1 - found
    # Straight along as far as both counts grow as they did before.
    corner = (np.diff(found, 2) != 0) | (np.diff(false, 2) != 0)
    here = np.concatenate([[True], corner, [True]]) if len(found) > 1 else np.ones(1, dtype=bool)
    true, false = np.append(0, found[here]), np.append(0, false[here])
    return false / false[-1], true / true[-1]


def precision_recall_curve(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall of what scores at least as much as each threshold.

    Parameters
    ----------
    positive : ndarray
        (N,) bool, with some of them.
    scores : ndarray
        (N,) finite.

    Returns
    -------
    tuple of ndarray
        (T + 1,) each: from all images to those of the highest score, then precision 1 at recall 0.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of the images that share a score
    found, taken = np.cumsum(positive[order])[last], np.flatnonzero(last) + 1
    precision, recall = found / taken, found / found[-1]
    return np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0)
