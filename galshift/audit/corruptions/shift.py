"""Astrometric error: the galaxy is not where the cut-out is centred."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame, directions


@CORRUPTIONS.register("shift")
class Shift(Corruption):
    """All bands moved together in a random direction; what comes in from outside is the mirrored edge."""

    levels = (1.0, 2.0, 4.0, 6.0, 8.0)
    unit = "pixels"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the moved image."""
        from scipy.ndimage import shift

        return shift(image, (0, *(level * directions(1, rng)[0])), order=3, mode="reflect")
