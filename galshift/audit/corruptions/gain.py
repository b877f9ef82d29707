"""Wrong zero points: each band's flux is too high or too low."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame


@CORRUPTIONS.register("gain")
class Gain(Corruption):
    """Every band multiplied or divided by the same factor, which way at random."""

    levels = (1.02, 1.05, 1.1, 1.25, 1.5)
    unit = "times"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the image on its wrong scale."""
        return image * level ** rng.choice([-1.0, 1.0], (len(image), 1, 1))
