"""Flux within circles and ellipses on pixels, and the radii that follow: Petrosian's and those of a fraction.

Pixel (y, x) is the unit square around integer coordinates.  A small circle's overlap with the pixels on its
edge is the area itself; the edges of larger ones, and of ellipses, are straight across a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

TRIALS = 100  # radii that are tried from the inside, so that the first crossing is found
PRECISION = 1e-4  # of a radius [pixel]
_EDGE = 0.7072  # half a pixel's diagonal
_LARGE = 5.0  # from this radius on [pixel] a straight edge is good to 3e-4 of the area, to 1e-5 from 15 on


def straight_overlap(away: np.ndarray, along: np.ndarray, across: np.ndarray, radius: float) -> np.ndarray:
    """Return the area of unit pixels on the near side of the circle's edge, taken as straight [pixel^2].

    Parameters
    ----------
    away : ndarray
        From the edge inwards to the pixel's centre, the radius less its distance [pixel].
    along, across : ndarray
        Larger and smaller of |cosine| and |sine| of its direction from the circle's centre.
    """
    depth = np.abs(away - 1 / (24 * radius))  # the circle bends away from its tangent by this on average
    corner = np.maximum(0.5 * (along + across) - depth, 0.0)
    flat = depth <= 0.5 * (along - across)
    covered = np.where(flat, 0.5 + depth / along, 1 - corner * corner / np.maximum(2 * along * across, 1e-12))
    return np.where(away > 1 / (24 * radius), covered, 1 - covered)


def circle_overlap(dx: np.ndarray, dy: np.ndarray, radius: float) -> np.ndarray:
    """Return the area shared by unit pixels at offsets (dx, dy) from the centre and a circle [pixel^2]."""
    left, right, low, high = dx - 0.5, dx + 0.5, dy - 0.5, dy + 0.5
    area = _corner(right, high, radius) - _corner(left, high, radius)
    return area - _corner(right, low, radius) + _corner(left, low, radius)


def _corner(x: np.ndarray, y: np.ndarray, r: float) -> np.ndarray:
    """Signed area of the circle between the axes and the corner (x, y)."""
    a, b = np.minimum(np.abs(x), r), np.minimum(np.abs(y), r)
    start = np.minimum(np.sqrt(r * r - b * b), a)  # up to here the side y cuts, beyond it the circle does
    return np.sign(x) * np.sign(y) * (b * start + _under(a, r) - _under(start, r))


def _under(u: np.ndarray, r: float) -> np.ndarray:
    """Area under the circle from 0 to u."""
    return 0.5 * (u * np.sqrt(r * r - u * u) + r * r * np.arcsin(u / r))


class Rough:
    """Flux and area within many radii at once, each pixel a unit wide whatever its direction.

    Parameters
    ----------
    distance, values, sums : ndarray
        (P,) of the pixels, sorted by distance; (P + 1,) sums of the values from the inside.
    """

    def __init__(self, distance: np.ndarray, values: np.ndarray, sums: np.ndarray) -> None:
        self.distance, self.sums = distance, sums
        self.lengths, self.moments = _sums(distance), _sums(values * distance)

    def __call__(self, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (flux, area), each of the shape of `radii`."""
        inner = np.searchsorted(self.distance, radii - 0.5)
        outer = np.searchsorted(self.distance, radii + 0.5)
        edge = radii + 0.5
        area = inner + edge * (outer - inner) - (self.lengths[outer] - self.lengths[inner])
        flux = edge * (self.sums[outer] - self.sums[inner]) - (self.moments[outer] - self.moments[inner])
        return self.sums[inner] + flux, area


def _sums(values: np.ndarray) -> np.ndarray:
    """Sums from the start, with the empty one before them."""
    sums = np.empty(len(values) + 1)
    sums[0] = 0.0
    np.cumsum(values, out=sums[1:])
    return sums


class Growth:
    """Flux and area within circles around one centre, by radius: pixels sorted by their distance.

    Parameters
    ----------
    image : ndarray
        (H, W); what lies outside has neither flux nor area.
    centre : tuple of float
        (x, y) [pixel].
    """

    def __init__(self, image: np.ndarray, centre: tuple[float, float]) -> None:
        dy, dx = np.indices(image.shape, dtype=np.float64).reshape(2, -1)
        dx, dy = dx - centre[0], dy - centre[1]
        distance = np.hypot(dx, dy)
        self.order = order = np.argsort(distance)
        self.distance, self.dx, self.dy = distance[order], dx[order], dy[order]
        x, y = np.abs(self.dx), np.abs(self.dy)
        unit = 1 / np.maximum(self.distance, 1e-12)
        self.along, self.across = np.maximum(x, y) * unit, np.minimum(x, y) * unit
        self._fill(image)

    def _fill(self, image: np.ndarray) -> None:
        self.values = image.ravel()[self.order]
        self.sums = _sums(self.values)

    def on(self, image: np.ndarray) -> Growth:
        """Return the same circles on another image of the same shape."""
        twin = copy(self)
        twin._fill(image)
        return twin

    def rough(self, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (flux, area) within many radii, less exactly."""
        return Rough(self.distance, self.values, self.sums)(radii)

    def __call__(self, radius: float) -> tuple[float, float]:
        """Return (flux, area) within `radius`."""
        if radius <= 0:
            return 0.0, 0.0
        inner, outer = np.searchsorted(self.distance, (radius - _EDGE, radius + _EDGE))
        edge = slice(inner, outer)
        if radius < _LARGE:
            weight = circle_overlap(self.dx[edge], self.dy[edge], radius)
        else:
            away = radius - self.distance[edge]
            weight = straight_overlap(away, self.along[edge], self.across[edge], radius)
        return self.sums[inner] + weight @ self.values[edge], inner + weight.sum()

    def flux(self, radius: float) -> float:
        """Return the flux within `radius`."""
        return self(radius)[0]


@dataclass(frozen=True)
class Ellipse:
    """Ellipses around one centre that differ in size alone.

    Attributes
    ----------
    centre : tuple of float
        (x, y) [pixel].
    elongation : float
        Ratio of the axes, 1 or more.
    angle : float
        Of the long axis, anticlockwise from x [radian].
    """

    centre: tuple[float, float]
    elongation: float = 1.0
    angle: float = 0.0

    def scales(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return every pixel's semi-major axis (H, W) and how it grows along x and y, both (H, W)."""
        y, x = np.indices(shape, dtype=np.float64)
        x, y = x - self.centre[0], y - self.centre[1]
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        u, v = x * cosine + y * sine, (y * cosine - x * sine) * self.elongation
        axis = np.hypot(u, v)
        along, across = u / np.maximum(axis, 1e-9), v * self.elongation / np.maximum(axis, 1e-9)
        return axis, along * cosine - across * sine, along * sine + across * cosine


class EllipseGrowth:
    """Flux and area within ellipses, by semi-major axis; see :class:`Growth`."""

    def __init__(self, image: np.ndarray, ellipse: Ellipse) -> None:
        axis, by_x, by_y = (part.ravel() for part in ellipse.scales(image.shape))
        order = np.argsort(axis)
        steepness = np.maximum(np.hypot(by_x, by_y), 1.0)  # 1 or more but at the very centre
        by_x, by_y = np.abs(by_x) / steepness, np.abs(by_y) / steepness
        self.axis, self.steepness = axis[order], steepness[order]
        self.along = np.maximum(np.maximum(by_x, by_y)[order], 1e-9)
        self.across = np.minimum(by_x, by_y)[order]
        self.reach = _EDGE * float(self.steepness.max())
        self.values = image.ravel()[order]
        self.sums = _sums(self.values)

    def rough(self, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (flux, area) within many semi-major axes, less exactly."""
        return Rough(self.axis, self.values, self.sums)(radii)

    def __call__(self, size: float) -> tuple[float, float]:
        """Return (flux, area) within the semi-major axis `size`."""
        inner, outer = np.searchsorted(self.axis, (size - self.reach, size + self.reach))
        edge = slice(inner, outer)
        away = (size - self.axis[edge]) / self.steepness[edge]
        weight = straight_overlap(away, self.along[edge], self.across[edge], np.inf)
        return self.sums[inner] + weight @ self.values[edge], inner + weight.sum()


def annulus_mean(growth: Growth | EllipseGrowth, radius: float, width: float = 1.0) -> float:
    """Return the mean flux of pixels in the annulus of `width` around `radius`; 0 where it has none."""
    inner, outer = growth(radius - width / 2), growth(radius + width / 2)
    area = outer[1] - inner[1]
    return (outer[0] - inner[0]) / area if area > 0 else 0.0


def petrosian(growth: Growth | EllipseGrowth, largest: float, eta: float = 0.2) -> tuple[float, bool]:
    """Return the Petrosian radius and whether it was found.

    The first radius at which the mean flux around it is `eta` of the mean flux within it (Petrosian 1976, ApJ
    209, L1), both taken as positive; the smallest or largest radius where there is none.
    """

    def excess(radius: float) -> float:
        flux, area = growth(radius)
        inside = abs(flux / area) if area > 0 else 0.0
        around = abs(annulus_mean(growth, radius))
        return (around / inside if inside > 0 else float(around > 0)) - eta

    radii = np.linspace(1.0, largest, TRIALS)
    (flux, area), (before, less), (after, more) = (growth.rough(radii + shift) for shift in (0, -0.5, 0.5))
    around = np.abs((after - before) / np.maximum(more - less, 1e-9))
    inside = np.abs(np.divide(flux, area, out=np.zeros_like(flux), where=area > 0))
    place = _first(lambda radius: -excess(radius), radii, around < eta * inside)
    if place is None:
        return largest, False
    if place == 0:
        return radii[0], False
    return brentq(excess, radii[place - 1], radii[place], xtol=PRECISION), True


def radius_of_fraction(growth: Growth, largest: float, fraction: float) -> float:
    """Return the first radius within which `fraction` of the flux inside `largest` lies; NaN without flux."""
    total = growth.flux(largest)
    if not total > 0:
        return np.nan

    def missing(radius: float) -> float:
        return abs(growth.flux(radius)) / total - fraction

    radii = np.linspace(0.0, largest, TRIALS)
    place = _first(missing, radii, np.abs(growth.rough(radii)[0]) > fraction * total)
    return np.nan if not place else brentq(missing, radii[place - 1], radii[place], xtol=PRECISION)


def _first(function: Callable[[float], float], radii: np.ndarray, rough: np.ndarray) -> int | None:
    """The first place in `radii` at which `function` is 0 or more; `rough` guesses where that is.

    All places are tried from the start, but for those well before the guess.
    """
    start = max(0, int(rough.argmax()) - 2) if rough.any() else 0
    if start and function(radii[start]) >= 0:
        start = 0
    return next((place for place in range(start, len(radii)) if function(radii[place]) >= 0), None)
