"""Worse seeing: the image convolved with a Gaussian."""

from __future__ import annotations

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))


@CORRUPTIONS.register("blur")
class Blur(Corruption):
    """A Gaussian PSF more; noise is smoothed with it, as it is by a resampling."""

    levels = (1.0, 2.0, 3.0, 4.5, 6.0)
    unit = "pixels FWHM"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the smoothed image."""
        from scipy.ndimage import gaussian_filter

        sigma = level / FWHM_PER_SIGMA
        return gaussian_filter(image, (0, sigma, sigma), mode="nearest")
