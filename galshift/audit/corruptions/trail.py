"""A satellite that crossed one exposure."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame, directions

WIDTH_PIXEL = 1.5  # standard deviation across the trail


@CORRUPTIONS.register("trail")
class Trail(Corruption):
    """A straight trail in one band, Gaussian across, within a quarter of the side of the centre."""

    levels = (3.0, 10.0, 30.0, 100.0, 300.0)
    unit = "training sky sigma at its middle"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the image with a trail."""
        height, width = image.shape[1:]
        band, (dy, dx) = rng.integers(len(image)), directions(1, rng)[0]
        offset = rng.uniform(-0.25, 0.25) * min(height, width)
        y, x = np.mgrid[:height, :width]
        across = (y - (height - 1) / 2) * dy + (x - (width - 1) / 2) * dx - offset
        out = image.copy()
        out[band] += level * frame.sky_sigma[band] * np.exp(-0.5 * (across / WIDTH_PIXEL) ** 2)
        return out
