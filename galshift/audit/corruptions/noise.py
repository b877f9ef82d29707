"""More sky noise than the training images had."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame


@CORRUPTIONS.register("noise")
class Noise(Corruption):
    """Gaussian noise of some times the training images' sky noise, added in every band."""

    levels = (0.5, 1.0, 2.0, 4.0, 8.0)
    unit = "training sky sigma"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the image with noise added."""
        return image + level * frame.sigma * rng.standard_normal(image.shape)
