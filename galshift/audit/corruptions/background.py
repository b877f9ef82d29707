"""Sky left behind: a wrong level with a gradient across the image."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame, directions


@CORRUPTIONS.register("background")
class Background(Corruption):
    """A plane: an offset of one sign in all bands, and as much again from one side to the other."""

    levels = (0.25, 0.5, 1.0, 2.0, 4.0)
    unit = "training sky sigma"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the image on its plane."""
        height, width = image.shape[1:]
        y, x = np.meshgrid(np.linspace(-0.5, 0.5, height), np.linspace(-0.5, 0.5, width), indexing="ij")
        dy, dx = directions(1, rng)[0]
        return image + level * frame.sigma * (rng.choice([-1.0, 1.0]) + dy * y + dx * x)
