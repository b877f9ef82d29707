"""Another position angle, with the resampling that comes with it."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame, new_sky


@CORRUPTIONS.register("rotation")
class Rotation(Corruption):
    """A turn about the centre, one way or the other, by cubic splines; the corners are new sky."""

    levels = (5.0, 15.0, 25.0, 35.0, 45.0)
    unit = "degrees"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the turned image."""
        from scipy.ndimage import rotate

        angle = level * rng.choice([-1.0, 1.0])
        turn = {"angle": angle, "axes": (1, 2), "reshape": False}
        inside = rotate(np.ones_like(image), **turn, order=1, cval=0.0) > 0.5
        turned = rotate(image, **turn, order=3, mode="nearest")
        return np.where(inside, turned, new_sky(image, frame, rng))
