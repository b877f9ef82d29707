"""Bad columns that were not masked."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame

HEIGHT_SIGMA = 20.0


@CORRUPTIONS.register("bad-column")
class BadColumn(Corruption):
    """Whole columns of one band, each 20 sky sigma too bright or too dark (our choice)."""

    levels = (1, 2, 4, 8, 16)
    unit = "columns"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the image with its columns raised or lowered."""
        out = image.copy()
        band = rng.integers(len(image))
        columns = rng.choice(image.shape[2], min(int(level), image.shape[2]), replace=False)
        signs = rng.choice([-1.0, 1.0], len(columns))
        out[band][:, columns] += HEIGHT_SIGMA * frame.sky_sigma[band] * signs
        return out
