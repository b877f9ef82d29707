"""Elliptical galaxies: triaxial Sérsic spheroids with a colour gradient, seen from any side."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._camera import random_rotation
from galshift.simulate._light import WAVELENGTH_UM, Frame
from galshift.simulate._sersic import sersic_image


def projected_ellipse(axes: tuple[float, float, float], rotation: np.ndarray) -> tuple[float, float, float]:
    """Return (major, minor, angle) of the projected isophote of an ellipsoid (Stark 1977).

    Parameters
    ----------
    axes : tuple of float
        Semi-axes of the ellipsoid.
    rotation : ndarray
        (3, 3) body to camera; the camera looks along the third axis.

    Returns
    -------
    tuple of float
        Semi-axes in the units of `axes` and the major axis' angle from x towards y [rad].
    """
    # The shadow of the ellipsoid x' A^-1 x = 1 has the upper left block of R A R' as its own matrix.
    shadow = (rotation * np.square(axes)) @ rotation.T
    values, vectors = np.linalg.eigh(shadow[:2, :2])
    return (
        float(np.sqrt(values[1])),
        float(np.sqrt(values[0])),
        float(np.arctan2(vectors[1, 1], vectors[0, 1])),
    )


@KINDS.register("elliptical")
class Elliptical:
    """One elliptical galaxy.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws Sérsic index 2-5.5, effective radius 2-7 kpc (larger for a larger index, as in
        observed samples) and the triaxial shape.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        self.n = round(rng.uniform(2.0, 5.5), 3)
        self.r_eff_kpc = float(np.clip(np.exp(rng.normal(np.log(2.4 + 0.45 * self.n), 0.28)), 2.0, 7.5))
        middle = rng.uniform(0.75, 1.0)
        self.axes = (1.0, middle, middle * rng.uniform(0.5, 1.0))
        self.gradient = rng.uniform(0.0, 0.25)
        self.redness = rng.normal(0.0, 0.05)
        # One in three still forms stars or did lately; the others have stopped.
        self.young_share = rng.uniform(0.03, 0.35) if rng.uniform() < 0.35 else 0.0

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the galaxy itself."""
        return {"sersic_n": self.n, "r_eff_kpc": self.r_eff_kpc, "young_fraction": self.young_share}

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the total r-band light, and the columns of this view."""
        ratio, angle = self.project(rng)
        return self.image(frame, ratio, angle, rng.uniform(-1, 1, 2)), {"axis_ratio": ratio}

    def project(self, rng: np.random.Generator) -> tuple[float, float]:
        """Return the axis ratio and the angle [rad] of the isophotes seen by a random camera."""
        major, minor, angle = projected_ellipse(self.axes, random_rotation(rng))
        return minor / major, angle

    def image(self, frame: Frame, axis_ratio: float, angle: float, centre: np.ndarray) -> np.ndarray:
        """Return (C, S, S) light; bluer bands have larger radii, the circularised r one is `r_eff_kpc`."""
        r_eff = self.r_eff_kpc / frame.kpc_per_pixel / np.sqrt(axis_ratio)
        colour = (1 - self.young_share) * frame.old() + self.young_share * frame.young()
        image = np.empty((len(frame.bands), frame.size, frame.size), dtype=np.float32)
        for index, (band, flux) in enumerate(zip(frame.bands, colour)):
            blueness = np.log(WAVELENGTH_UM["r"] / WAVELENGTH_UM[band])
            profile = sersic_image(
                frame.size,
                n=self.n,
                r_eff=r_eff * np.exp(self.gradient * blueness),
                axis_ratio=axis_ratio,
                angle=angle,
                centre=tuple(centre),
            )
            # A redness of 0.04 makes g - r redder by about 0.04 mag.
            image[index] = flux * np.exp(-3.5 * self.redness * blueness) * profile
        return image
