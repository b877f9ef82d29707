"""FITS compression with loss: pixels quantised to a share of the noise, then Rice-coded (fpack).

Pence, Seaman & White 2009, PASP 121, 414: the step is the noise divided by q; fpack's default is q = 4.
"""

from __future__ import annotations

import io

import numpy as np

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import Corruption, Frame


@CORRUPTIONS.register("rice")
class Rice(Corruption):
    """Written as a tile-compressed FITS image with subtractive dithering, and read back."""

    levels = (4.0, 1.0, 0.5, 0.25, 0.125)
    unit = "steps per sigma of the noise (q)"

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return what comes back from the compressed file."""
        seed = int(rng.integers(1, 10_001))
        return np.stack(
            [
                _round_trip(band, sigma / level, seed)
                for band, sigma in zip(image, np.asarray(frame.sky_sigma))
            ]
        )


def _round_trip(band: np.ndarray, step: float, seed: int) -> np.ndarray:
    from astropy.io import fits

    # A negative level is an absolute step: the noise is that of the training images, not of one tile.
    compressed = fits.CompImageHDU(
        band.astype(np.float32),
        compression_type="RICE_1",
        quantize_level=-step,
        quantize_method=1,
        dither_seed=seed,
    )
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(buffer)
    buffer.seek(0)
    with fits.open(buffer) as units:
        return np.array(units[1].data, dtype=np.float64)
