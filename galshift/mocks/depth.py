"""What a limiting magnitude means: how many pixels of noise a measurement of that kind sees."""

from __future__ import annotations

import numpy as np

from galshift.mocks.psf import Psf
from galshift.mocks.resample import pixel_transfer
from galshift.mocks.units import mag_from_njy
from galshift.surveys.schema import Depth, Survey


def response(psf: Psf, pixel_scale: float, k: np.ndarray) -> np.ndarray:
    """|OTF x pixel|^2 (M, M) at `k` (M,) [cycles / arcsec] of a point, in pixels of `pixel_scale` arcsec."""
    pixel = pixel_transfer(k, pixel_scale, psf.pixel_arcsec)
    return np.abs(psf.otf(k, k) * np.outer(pixel, pixel)) ** 2


def matched_filter_pixels(psf: Psf, pixel_scale: float, half_light_radius: float | None = None) -> float:
    """Pixels whose white noise a matched filter sees: 1 / sum P^2, averaged over the pixel's phase.

    By Parseval, sum P^2 = area of a pixel x integral |OTF|^2 d^2k.  With `half_light_radius` [arcsec] P is
    the image of an exponential disc instead of a point.
    """
    k = (np.arange(1024) + 0.5) / 1024 * 6 / pixel_scale - 3 / pixel_scale
    power = response(psf, pixel_scale, k)
    if half_light_radius is not None:
        power = power * disc_otf(np.hypot(k[:, None], k[None, :]), half_light_radius) ** 2
    return float(1 / (power.sum() * (k[1] - k[0]) ** 2 * pixel_scale**2))


def disc_otf(k: np.ndarray, half_light_radius: float) -> np.ndarray:
    """Fourier transform of an exponential disc of flux 1: (1 + (2 pi k h)^2)^(-3/2), h = r_half / 1.678."""
    return (1 + (2 * np.pi * k * half_light_radius / 1.67835) ** 2) ** -1.5


def aperture_pixels(diameter_arcsec: float, pixel_scale: float) -> float:
    """Sum of squared pixel weights of a circular aperture with exact overlaps, centred on a pixel's corner.

    Smaller than the aperture's area, because pixels on the rim count in part.
    """
    from photutils.aperture import CircularAperture

    radius = diameter_arcsec / 2 / pixel_scale
    centre = float(np.ceil(radius)) + 0.5
    weights = CircularAperture((centre, centre), radius).to_mask(method="exact").data
    return float((weights**2).sum())


def noise_pixels(depth: Depth, psf: Psf, survey: Survey) -> float:
    """Pixels of white noise in the measurement that `depth` describes."""
    scale = survey.pixel_scale.value
    if depth.kind == "aperture":
        return aperture_pixels(depth.aperture_diameter_arcsec, scale)
    return matched_filter_pixels(psf, scale, depth.half_light_radius_arcsec)


def expected_depth(depth: Depth, psf: Psf, survey: Survey, sigma_njy: float) -> float:
    """AB magnitude that a blank pixel's `sigma_njy` gives, measured as `depth` describes."""
    return float(mag_from_njy(depth.snr * sigma_njy * np.sqrt(noise_pixels(depth, psf, survey))))
