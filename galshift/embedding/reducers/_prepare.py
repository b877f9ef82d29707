"""What every reducer does first."""

from __future__ import annotations

import numpy as np


def standardised(features: np.ndarray, max_dimensions: int = 50) -> np.ndarray:
    """Return features with zero mean and unit variance, rotated to at most `max_dimensions` by PCA.

    Constant features are dropped.  Neighbour methods gain nothing from the last hundred dimensions, and pay
    for each (van der Maaten & Hinton 2008, section 4.2).
    """
    from sklearn.decomposition import PCA

    spread = features.std(axis=0)
    kept = features[:, spread > 0]
    if kept.shape[1] == 0:
        return np.zeros((len(features), 1))
    mean, deviation = kept.mean(axis=0), kept.std(axis=0)
    kept -= mean  # a copy of its own already
    kept /= deviation
    scaled = kept
    n = min(max_dimensions, *scaled.shape)
    return PCA(n, svd_solver="full", copy=False).fit_transform(scaled) if n < scaled.shape[1] else scaled


def planar(points: np.ndarray) -> np.ndarray:
    """Return (N, 2) points, a missing second dimension as zeros."""
    return np.pad(points[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))


def degenerate(scaled: np.ndarray) -> bool:
    """Tell whether there is nothing to unfold: fewer than five points, or all the same."""
    return len(scaled) < 5 or not scaled.any()
