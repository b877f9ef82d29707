"""From physical galaxies to nJy: the frame, two stellar populations, dust and the cosmology."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from galshift.errors import UsageError, did_you_mean

# Effective wavelengths of the Rubin bands [micron], rounded; dust needs no more.
WAVELENGTH_UM = {"u": 0.368, "g": 0.480, "r": 0.622, "i": 0.754, "z": 0.869, "y": 0.971}

# AB magnitude minus r of an old (early-type galaxies) and a young (star-forming discs) population as seen at
# z of about 0.1; round values, chosen once and not fitted to anything.
OLD_COLOUR = {"u": 2.65, "g": 0.85, "r": 0.0, "i": -0.40, "z": -0.70, "y": -0.82}
YOUNG_COLOUR = {"u": 0.95, "g": 0.12, "r": 0.0, "i": -0.02, "z": -0.03, "y": -0.03}

AB_ZERO_NJY = 3.631e12  # 3631 Jy


@dataclass(frozen=True)
class Frame:
    """Where the light falls: the pixel grid of one image and the sky it covers.

    Attributes
    ----------
    size : int
        Pixels along a side.
    pixel_scale_arcsec, kpc_per_pixel : float
    redshift : float
    bands : tuple of str
    """

    size: int
    pixel_scale_arcsec: float
    kpc_per_pixel: float
    redshift: float
    bands: tuple[str, ...]

    def old(self) -> np.ndarray:
        """(C,) flux of the old population relative to its own r band."""
        return _relative(OLD_COLOUR, self.bands)

    def young(self) -> np.ndarray:
        """(C,) flux of the young population relative to its own r band."""
        return _relative(YOUNG_COLOUR, self.bands)

    def extinction(self) -> np.ndarray:
        """(C,) optical depth relative to the r band: wavelength ** -0.7 (Charlot & Fall 2000, Eq. 5)."""
        waves = np.array([WAVELENGTH_UM[band] for band in self.bands], dtype=np.float32)
        return (waves / np.float32(WAVELENGTH_UM["r"])) ** np.float32(-0.7)


def _relative(colour: dict[str, float], bands: tuple[str, ...]) -> np.ndarray:
    return np.array([10 ** (-0.4 * colour[band]) for band in bands], dtype=np.float32)


def check_bands(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Return `bands` when each has a colour.

    Raises
    ------
    UsageError
        When a band is unknown, or there is none.
    """
    if not bands:
        raise UsageError("at least one band is needed", where="bands", hint="for example g,r,i")
    for band in bands:
        if band not in WAVELENGTH_UM:
            raise UsageError(
                f"no colours are known for band '{band}'",
                where="bands",
                hint=did_you_mean(band, WAVELENGTH_UM),
            )
    return tuple(bands)


def ab_to_njy(magnitude: float) -> float:
    """Return the flux density [nJy] of an AB magnitude (Oke & Gunn 1983)."""
    return AB_ZERO_NJY * 10 ** (-0.4 * magnitude)


def njy_to_ab(flux_njy: float) -> float:
    """Return the AB magnitude of a flux density [nJy]; infinity where no light falls."""
    return -2.5 * float(np.log10(flux_njy / AB_ZERO_NJY)) if flux_njy > 0 else float("inf")


@lru_cache(maxsize=16)
def distances(redshift: float) -> tuple[float, float]:
    """Return (distance modulus [mag], kpc per arcsec) at `redshift` in the Planck 2018 cosmology."""
    from astropy.cosmology import Planck18

    modulus = float(Planck18.distmod(redshift).value)
    return modulus, float(Planck18.kpc_proper_per_arcmin(redshift).value / 60)


def screen(depth: np.ndarray) -> np.ndarray:
    """Transmission of light behind dust of optical depth `depth`."""
    return np.exp(-depth)


def slab(depth: np.ndarray) -> np.ndarray:
    """Mean transmission of stars mixed evenly with dust of optical depth `depth`: (1 - exp(-t)) / t."""
    safe = np.maximum(depth, np.float32(1e-4))
    return -np.expm1(-safe) / safe
