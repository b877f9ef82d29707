"""Whether a confidence of 80 % is right 80 % of the time.

Naeini et al. 2015 (AAAI) and Guo et al. 2017 (arXiv:1706.04599, eq. 3) for the binned error; Nixon et al.
2019 (arXiv:1904.01685) for equal-mass bins over all classes.  Binned errors are biased upwards when images
are few (Roelofs et al. 2022, arXiv:2012.08668): rank models by Brier score or NLL instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galshift.evaluation.class_sample import N_BINS, confidence_bin


@dataclass(frozen=True)
class Reliability:
    """One reliability curve.

    Attributes
    ----------
    edges : ndarray
        (B + 1,) bin edges in confidence.
    n : ndarray
        (B,) images in each bin.
    confidence, accuracy : ndarray
        (B,) means in each bin; NaN in an empty one.
    """

    edges: np.ndarray
    n: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(labels: np.ndarray, probabilities: np.ndarray, n_bins: int = N_BINS) -> Reliability:
    """Return accuracy against confidence of the most probable class in equal-width bins.

    Parameters
    ----------
    labels : ndarray
        (N,) class indices; images with a negative one are left out.
    probabilities : ndarray
        (N, K).
    n_bins : int
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    labels, probabilities = labels[labels >= 0], probabilities[labels >= 0]
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = confidence_bin(confidence, n_bins)
    n = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_confidence = np.bincount(bins, weights=confidence, minlength=n_bins) / n
        accuracy = np.bincount(bins, weights=correct, minlength=n_bins) / n
    return Reliability(np.linspace(0, 1, n_bins + 1), n, mean_confidence, accuracy)


def expected_calibration_error(curve: Reliability) -> float:
    """Return the mean absolute gap between confidence and accuracy, weighted by the images in each bin."""
    filled = curve.n > 0
    gaps = np.abs(curve.accuracy[filled] - curve.confidence[filled])
    return float((gaps * curve.n[filled]).sum() / curve.n.sum()) if filled.any() else float("nan")


def adaptive_calibration_error(labels: np.ndarray, probabilities: np.ndarray, n_bins: int = N_BINS) -> float:
    """Return the error over equal-mass bins, averaged over all classes (ACE of Nixon et al. 2019), in [0, 1].

    Parameters
    ----------
    labels : ndarray
        (N,) class indices; images with -1 are left out, and without any other the error is NaN.
    probabilities : ndarray
        (N, K).
    n_bins : int
        Of each class.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    labels, probabilities = labels[labels >= 0], probabilities[labels >= 0]
    if not len(labels):
        return float("nan")
    gaps = []
    for index in range(probabilities.shape[1]):
        order = np.argsort(probabilities[:, index], kind="stable")
        for members in np.array_split(order, min(n_bins, len(order))):
            share = (labels[members] == index).mean()
            gaps.append(abs(share - probabilities[members, index].mean()))
    return float(np.mean(gaps))
