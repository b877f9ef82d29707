"""Pictures instead of data: stretched to 8 bits and compressed as JPEG."""

from __future__ import annotations

import io

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame

BELOW_SIGMA = -5.0  # black, in sky sigma


@CORRUPTIONS.register("jpeg")
class Jpeg(Corruption):
    """Each band as a grey JPEG of its arcsinh, softened by the sky noise, and back; our choice of stretch."""

    levels = (95, 75, 50, 25, 10)
    unit = "quality"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return what comes back from the picture."""
        return np.stack(
            [_round_trip(band, sigma, int(level)) for band, sigma in zip(image, np.asarray(frame.sky_sigma))]
        )


def _round_trip(band: np.ndarray, sigma: float, quality: int) -> np.ndarray:
    from PIL import Image

    value = np.arcsinh(band / sigma)
    low = np.arcsinh(BELOW_SIGMA)
    high = max(value.max(), -low)
    eight = np.round(255 * np.clip((value - low) / (high - low), 0, 1)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(eight).save(buffer, format="jpeg", quality=quality)
    with Image.open(buffer) as picture:
        back = np.asarray(picture, dtype=np.float64)
    return np.sinh(low + back / 255 * (high - low)) * sigma
