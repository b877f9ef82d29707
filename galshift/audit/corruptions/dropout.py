"""Pixels without data, filled with zero."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame


@CORRUPTIONS.register("dropout")
class Dropout(Corruption):
    """A share of the pixels of each band, at random, set to the subtracted sky."""

    levels = (0.003, 0.01, 0.03, 0.1, 0.3)
    unit = "of the pixels"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the image with holes."""
        return np.where(rng.random(image.shape) < level, 0.0, image)
