"""A detector that fills up below the galaxy's peak, and bleeds along its columns."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame


@CORRUPTIONS.register("saturation")
class Saturation(Corruption):
    """Cut at a share of each band's peak; what is above flows up and down the column until it is used up."""

    levels = (0.8, 0.5, 0.3, 0.15, 0.05)
    unit = "of the peak"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the saturated image; flux that bleeds over the edge is lost."""
        return np.stack([_bled(band, level * band.max()) for band in image])


def _bled(band: np.ndarray, full: float) -> np.ndarray:
    if full <= 0:
        return band.copy()
    out = np.minimum(band, full)
    for x in np.flatnonzero((band > full).any(axis=0)):
        surplus = (np.maximum(band[:, x] - full, 0)).sum()
        rows = np.flatnonzero(band[:, x] > full)
        for way in (range(rows[0] - 1, -1, -1), range(rows[-1] + 1, len(band))):
            left = surplus / 2
            for y in way:
                taken = min(left, full - out[y, x])
                out[y, x] += taken
                left -= taken
                if left <= 0:
                    break
    return out
