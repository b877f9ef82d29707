"""Bands that do not lie on one another."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame, directions


@CORRUPTIONS.register("misregistration")
class Misregistration(Corruption):
    """Every band moved by itself, as far, in a direction of its own."""

    levels = (0.25, 0.5, 1.0, 2.0, 3.0)
    unit = "pixels"
    min_bands = 2

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the image with its bands moved."""
        from scipy.ndimage import shift

        moves = level * directions(len(image), rng)
        return np.stack([shift(band, move, order=3, mode="reflect") for band, move in zip(image, moves)])
