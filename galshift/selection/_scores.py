"""The small functions that several selectors share."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy


def entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy [nat] of each row of (..., K) probabilities; 0 log 0 is 0."""
    return -xlogy(p, p).sum(axis=-1)


def balanced_accuracy(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> float:
    """Return the mean recall over the classes that occur in `labels`; NaN for no label."""
    recalls = [float((predictions[labels == k] == k).mean()) for k in range(n_classes) if (labels == k).any()]
    return float(np.mean(recalls)) if recalls else float("nan")


def mutual_information(p: np.ndarray) -> float:
    """Return ``H(mean p) - mean H(p)`` [nat] of (N, K) predictions: confident, and not all of one class."""
    return float(entropy(p.mean(axis=0)) - entropy(p).mean())


def classifier_weights(features: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return the weights (K, D) of the linear classifier between features and logits, by least squares.

    Exact where the classifier is linear, up to what the features do not span (its smallest solution is
    taken); the linear part of it otherwise.
    """
    centred = features - features.mean(axis=0)
    weights, *_ = np.linalg.lstsq(centred, logits - logits.mean(axis=0), rcond=None)
    return weights.T
