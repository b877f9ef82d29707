"""Rows and columns without a signal: dead columns, gaps between detectors, the edge of a survey."""

from __future__ import annotations

import numpy as np

from galshift.data.cutouts import Cutouts


def striped(cutouts: Cutouts) -> tuple[float, float | None]:
    """Return the share of images with a row or column in which all good pixels have one value, and the value.

    At least half of its pixels must be good, in any one band.  Images without any contrast do not count: they
    are empty.  The share is 0 without images; the value is None where rows and columns differ in it.
    """
    images = np.asarray(cutouts.images)
    good = np.isfinite(images)
    if cutouts.mask is not None:
        mask = np.asarray(cutouts.mask, dtype=bool)
        good &= ~(mask if mask.ndim == images.ndim else mask[:, None])
    low, high = np.where(good, images, np.inf), np.where(good, images, -np.inf)
    contrast = low.min(axis=(1, 2, 3)) < high.max(axis=(1, 2, 3))
    found, values = np.zeros(len(images), dtype=bool), set()
    for axis in (-1, -2):
        least = low.min(axis=axis)
        lines = (least == high.max(axis=axis)) & (good.mean(axis=axis) >= 0.5) & contrast[:, None, None]
        found |= lines.any(axis=(1, 2))
        values |= set(np.unique(least[lines]).tolist())
    return float(found.mean()) if len(images) else 0.0, values.pop() if len(values) == 1 else None
