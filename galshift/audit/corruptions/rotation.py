"""Another position angle, with the resampling that comes with it."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame


@CORRUPTIONS.register("rotation")
class Rotation(Corruption):
    """A turn about the centre, one way or the other, by cubic splines; the corners are mirrored."""

    levels = (5.0, 15.0, 25.0, 35.0, 45.0)
    unit = "degrees"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the turned image."""
        from scipy.ndimage import rotate

        angle = level * rng.choice([-1.0, 1.0])
        return rotate(image, angle, axes=(1, 2), reshape=False, order=3, mode="reflect")
