"""Sérsic profiles of unit total light, with the steep centre integrated over its pixels (Sérsic 1963)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from galshift.simulate._grid import bin_down, coordinates

# (pixels along the side of a finer square on the centre, sub-pixels along each of them), coarse to fine.
_CORES = ((14, 8), (3, 48))


@lru_cache(maxsize=4096)
def _constants(n: float) -> tuple[float, float]:
    """Return b_n, and the total light in units of I_e r_e**2 q (Ciotti 1991; Graham & Driver 2005, Eq. 4)."""
    from scipy.special import gamma, gammaincinv

    b = float(gammaincinv(2 * n, 0.5))
    return b, float(2 * np.pi * n * np.exp(b) * b ** (-2 * n) * gamma(2 * n))


def sersic_image(
    size: int,
    *,
    n: float,
    r_eff: float,
    axis_ratio: float = 1.0,
    angle: float = 0.0,
    centre: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Return a Sérsic profile whose light out to infinity is 1.

    Parameters
    ----------
    size : int
        Pixels along a side.
    n : float
        Sérsic index.
    r_eff : float
        Effective radius along the major axis [pixels].
    axis_ratio : float
        Minor over major axis, in (0, 1].
    angle : float
        Of the major axis from x towards y [rad].
    centre : tuple of float
        (x, y) in pixels from the middle of the image.

    Returns
    -------
    ndarray
        (size, size) float32, light per pixel.
    """
    b, area = _constants(round(n, 3))
    shape = (round(n, 3), b, r_eff, axis_ratio, angle, area)
    x, y = coordinates(size)
    image = _profile(x - np.float32(centre[0]), y - np.float32(centre[1]), *shape)
    for core, fine in _CORES:
        core = min(core, size)
        x0, y0 = (int(np.clip(round(c + size / 2 - core / 2), 0, size - core)) for c in centre)
        fine_x, fine_y = coordinates(core, fine)
        shift_x, shift_y = ((low + (core - size) / 2) - c for low, c in zip((x0, y0), centre))
        light = _profile(fine_x + np.float32(shift_x), fine_y + np.float32(shift_y), *shape)
        image[y0 : y0 + core, x0 : x0 + core] = bin_down(light, fine)
    return image


def _profile(
    x: np.ndarray, y: np.ndarray, n: float, b: float, r_eff: float, q: float, angle: float, area: float
) -> np.ndarray:
    """Surface brightness at (x, y) of a profile of unit light."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    major = x * cos + y * sin
    minor = (y * cos - x * sin) / np.float32(q)
    radius2 = (major * major + minor * minor) / np.float32(r_eff * r_eff)
    power = np.power(radius2, np.float32(0.5 / n))
    return np.exp(np.float32(b) * (1 - power)) / np.float32(area * r_eff * r_eff * q)
