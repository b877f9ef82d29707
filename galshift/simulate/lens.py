"""Strong lenses: an elliptical's isothermal ellipsoid bends the light of a star-forming galaxy behind it.

The mass follows the light in shape and direction; a class for studies to hold back.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._grid import bin_down, coordinates
from galshift.simulate._light import Frame
from galshift.simulate.elliptical import Elliptical

_C_KM_S = 299792.458
_OVERSAMPLE = 4


def sie_deflection(
    x: np.ndarray, y: np.ndarray, einstein_radius: float, axis_ratio: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the deflection by a singular isothermal ellipsoid with its major axis along x.

    The convergence is ``einstein_radius * sqrt(q) / (2 * sqrt(q**2 x**2 + y**2))`` (Kormann, Schneider &
    Bartelmann 1994), the deflection that of Keeton (2001, arXiv:astro-ph/0102341), Eqs. 33-34 without a core.

    Parameters
    ----------
    x, y : ndarray
        Positions in the lens plane, in the units of `einstein_radius`.
    einstein_radius : float
        The critical curve encloses ``pi * einstein_radius**2`` whatever the axis ratio.
    axis_ratio : float
        Minor over major axis q of the surface density, in (0, 1].

    Returns
    -------
    tuple of ndarray
        Both components, in the same units; 0 at the centre.
    """
    q = min(axis_ratio, 0.9999)
    root = np.sqrt(1 - q * q)
    radius = np.sqrt(q * q * x * x + y * y) + 1e-12
    factor = einstein_radius * np.sqrt(q) / root
    return factor * np.arctan(root * x / radius), factor * np.arctanh(root * y / radius)


@lru_cache(maxsize=1024)
def distance_ratio(lens: float, source: float) -> float:
    """Return the angular diameter distance lens-source over observer-source in the Planck 2018 cosmology."""
    from astropy.cosmology import Planck18

    # Space is flat, so comoving distances subtract.
    return float(1 - (Planck18.comoving_distance(lens) / Planck18.comoving_distance(source)).value)


@KINDS.register("lens")
class Lens:
    """One elliptical galaxy that lenses a clumpy disc behind it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws a velocity dispersion of 250-340 km/s, the elliptical, and a source 0.5-1.5 in
        redshift behind it with its disc, its star-forming clumps and its light before magnification.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        self.galaxy = Elliptical(rng)
        self.dispersion = rng.uniform(250.0, 340.0)
        self.behind = rng.uniform(0.5, 1.5)
        self.source_light = np.exp(rng.uniform(np.log(0.012), np.log(0.045)))
        self.source_radius = rng.uniform(0.12, 0.35)  # arcsec
        self.source_ratio, self.source_angle = rng.uniform(0.35, 1.0), rng.uniform(0, np.pi)
        count = int(rng.integers(3, 9))
        self.clumps = np.stack(
            [
                *(rng.normal(size=(2, count)) * self.source_radius),
                rng.uniform(0.03, 0.08, count),
                rng.dirichlet(np.ones(count)),
            ]
        )
        self.clump_share = rng.uniform(0.25, 0.6)

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the lens galaxy itself."""
        return self.galaxy.truth()

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the lens galaxy's r-band light, and this view's columns."""
        ratio, angle = self.galaxy.project(rng)
        centre = rng.uniform(-1, 1, 2)
        image = self.galaxy.image(frame, ratio, angle, centre)
        source_redshift = frame.redshift + self.behind
        einstein = self.einstein_radius(frame.redshift)
        offset, turn = 0.3 * einstein * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        source = (offset * np.cos(turn), offset * np.sin(turn))
        arcs = self._arcs(frame, einstein, max(ratio, 0.5), angle, centre, source)
        image += frame.young()[:, None, None] * arcs
        return image, {
            "axis_ratio": ratio,
            "einstein_radius_arcsec": einstein,
            "source_redshift": source_redshift,
        }

    def einstein_radius(self, redshift: float) -> float:
        """Return 4 pi (sigma / c)**2 D_ls / D_s [arcsec] for the lens at `redshift`."""
        bend = 4 * np.pi * (self.dispersion / _C_KM_S) ** 2
        return float(np.degrees(bend) * 3600 * distance_ratio(redshift, redshift + self.behind))

    def _arcs(
        self,
        frame: Frame,
        einstein: float,
        ratio: float,
        angle: float,
        centre: np.ndarray,
        source: tuple[float, float],
    ) -> np.ndarray:
        """Trace every sub-pixel back to the source plane; (S, S) in units of the lens galaxy's light."""
        scale = np.float32(frame.pixel_scale_arcsec)
        x, y = coordinates(frame.size, _OVERSAMPLE)
        x, y = (x - np.float32(centre[0])) * scale, (y - np.float32(centre[1])) * scale
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        x, y = x * cos + y * sin, y * cos - x * sin
        bend_x, bend_y = sie_deflection(x, y, np.float32(einstein), ratio)
        light = self._source(x - bend_x - np.float32(source[0]), y - bend_y - np.float32(source[1]))
        return bin_down(light * np.float32(self.source_light) * scale * scale, _OVERSAMPLE)

    def _source(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Surface brightness of the source [1 / arcsec**2], its light adding to 1."""
        cos, sin = np.float32(np.cos(self.source_angle)), np.float32(np.sin(self.source_angle))
        major, minor = x * cos + y * sin, (y * cos - x * sin) / np.float32(self.source_ratio)
        disc = np.float32(
            self.source_radius / 1.678
        )  # scale length of an exponential of that effective radius
        area = 2 * np.pi * float(disc) ** 2 * self.source_ratio
        light = np.exp(-np.sqrt(major * major + minor * minor) / disc)
        light *= np.float32((1 - self.clump_share) / area)
        for x0, y0, sigma, share in self.clumps.T:
            distance2 = (major - np.float32(x0)) ** 2 + (minor - np.float32(y0)) ** 2
            peak = self.clump_share * share / (2 * np.pi * sigma**2 * self.source_ratio)
            light += np.float32(peak) * np.exp(distance2 * np.float32(-0.5 / sigma**2))
        return light
