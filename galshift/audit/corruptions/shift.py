"""Astrometric error: the galaxy is not where the cut-out is centred."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame, directions, new_sky


@CORRUPTIONS.register("shift")
class Shift(Corruption):
    """All bands moved together in a random direction; sky comes in from outside."""

    levels = (1.0, 2.0, 4.0, 6.0, 8.0)
    unit = "pixels"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the moved image."""
        from scipy.ndimage import shift

        move = (0, *(level * directions(1, rng)[0]))
        inside = shift(np.ones_like(image), move, order=1, cval=0.0) > 0.5
        return np.where(inside, shift(image, move, order=3, mode="nearest"), new_sky(image, frame, rng))
