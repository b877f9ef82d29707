"""Rows and columns without a signal: dead columns, gaps between detectors, the edge of a survey."""

from __future__ import annotations

import numpy as np

from galshift.data.cutouts import Cutouts


def striped(cutouts: Cutouts) -> float:
    """Return the share of images with a row or column in which all good pixels have one value.

    At least half of its pixels must be good, in any one band.  Images without any contrast do not count: they
    are empty.  0 without images.
    """
    images = np.asarray(cutouts.images)
    good = np.isfinite(images)
    if cutouts.mask is not None:
        mask = np.asarray(cutouts.mask, dtype=bool)
        good &= ~(mask if mask.ndim == images.ndim else mask[:, None])
    low, high = np.where(good, images, np.inf), np.where(good, images, -np.inf)
    found = np.zeros(len(images), dtype=bool)
    for axis in (-1, -2):
        of_one_value = low.min(axis=axis) == high.max(axis=axis)
        found |= (of_one_value & (good.mean(axis=axis) >= 0.5)).any(axis=(1, 2))
    contrast = low.min(axis=(1, 2, 3)) < high.max(axis=(1, 2, 3))
    return float((found & contrast).mean()) if len(images) else 0.0
