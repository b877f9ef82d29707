"""Asymmetry and smoothness of one galaxy, and the box of sky that both are corrected by.

Conselice 2003 (ApJS 147, 1) and Lotz, Primack & Madau 2004 (AJ 128, 163), with the choices of statmorph
(Rodriguez-Gomez et al. 2019, MNRAS 483, 4140).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.optimize import fmin

from galshift.evaluation._apertures import Growth

SKY_BOX = 32  # side of the box of sky [pixel], halved until one fits
OUTSIDE = 100.0  # what the search for the centre is given beyond the image


def sky_box(sky: np.ndarray) -> tuple[slice, slice] | None:
    """Return the first box, row by row, in which all of `sky` (H, W) bool holds; None where there is none."""
    sums = np.pad(np.cumsum(np.cumsum(~sky, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    side = SKY_BOX
    while side >= 2:
        inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        free = np.argwhere(inside[:-1, :-1] == 0)  # the last row and column are left out, as statmorph does
        if len(free):
            y, x = free[0]
            return slice(y, y + side), slice(x, x + side)
        side //= 2
    return None


class Asymmetry:
    """The asymmetry of an image about a centre, within a circle (Lotz et al. 2004, equation 10).

    Parameters
    ----------
    image : ndarray
        (H, W)
    radius : float
        Of the circle [pixel].
    sky : float
        Mean absolute difference of the sky and itself turned, by pixel; taken off by area.
    """

    def __init__(self, image: np.ndarray, radius: float, sky: float) -> None:
        self.shape, self.radius, self.sky = image.shape, radius, sky
        self.image, self.size = image, np.abs(image)
        self.margin = max(self.shape) + 2
        self.turned = np.pad(image[::-1, ::-1], self.margin)  # what lies outside is 0
        self.y, self.x = np.arange(self.shape[0]), np.arange(self.shape[1])

    def __call__(self, centre: np.ndarray) -> float:
        """Return the asymmetry about `centre` (x, y); 100 outside the image or where there is no flux."""
        x, y = float(centre[0]), float(centre[1])
        height, width = self.shape
        if not (0 <= x < width and 0 <= y < height):
            return OUTSIDE
        rows = slice(max(0, int(y - self.radius - 1)), int(y + self.radius + 2))
        columns = slice(max(0, int(x - self.radius - 1)), int(x + self.radius + 2))
        across = np.square(self.x[columns] - x) + np.square(self.y[rows] - y)[:, None]
        weight = np.clip(self.radius + 0.5 - np.sqrt(across), 0.0, 1.0)
        flux = np.vdot(weight, self.size[rows, columns])
        if flux == 0:
            return OUTSIDE
        difference = np.abs(self._turned_about(x, y, rows, columns) - self.image[rows, columns])
        return (np.vdot(weight, difference) - self.sky * weight.sum()) / flux

    def _turned_about(self, x: float, y: float, rows: slice, columns: slice) -> np.ndarray:
        """The image turned by half a turn about (x, y), linear between pixels."""
        height, width = self.shape
        parts = []
        for span, stop, shift in ((rows, height, height - 1 - 2 * y), (columns, width, width - 1 - 2 * x)):
            whole = int(np.floor(shift))
            start = self.margin + span.start + whole
            parts.append((start, start + min(span.stop, stop) - span.start, shift - whole))
        (y0, y1, fy), (x0, x1, fx) = parts
        rows_between = (1 - fy) * self.turned[y0:y1, x0 : x1 + 1] + fy * self.turned[
            y0 + 1 : y1 + 1, x0 : x1 + 1
        ]
        return (1 - fx) * rows_between[:, :-1] + fx * rows_between[:, 1:]


def centre_of_symmetry(
    asymmetry: Asymmetry, centroid: np.ndarray, brightest: np.ndarray, reach: float
) -> tuple[np.ndarray, bool]:
    """Return where `asymmetry` is least, and whether that was found within `reach` of where it was sought."""
    for start in (centroid, brightest):
        found = fmin(asymmetry, start, xtol=1e-3, disp=False)
        if np.hypot(*(found - start)) <= reach:
            return found, True
    return np.asarray(centroid), False


def smoothness(image: np.ndarray, growth: Growth, petrosian: float, box: tuple[slice, slice] | None) -> float:
    """Return what a boxcar of a quarter of the Petrosian radius takes away, by flux, less the sky's (S)."""
    side = int(0.25 * petrosian)
    if side < 1:
        return np.nan
    inner, outer = 0.25 * petrosian, 1.5 * petrosian
    rough = growth.on(_rough(image, side))
    flux = growth.flux(outer) - growth.flux(inner)
    if not flux > 0:
        return np.nan
    sky = 0.0 if box is None else float(_rough(image[box], side).mean())
    area = np.pi * (outer**2 - inner**2)
    return (rough.flux(outer) - rough.flux(inner) - area * sky) / flux


def _rough(image: np.ndarray, side: int) -> np.ndarray:
    """What stands out above the image smoothed by a boxcar."""
    return np.maximum(image - ndimage.uniform_filter(image, size=side), 0.0)
