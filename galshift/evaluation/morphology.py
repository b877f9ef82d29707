"""Shapes of galaxies: concentration, asymmetry, smoothness, Gini, M20, size and colour, measured in batches.

Conselice 2003 (ApJS 147, 1) and Lotz, Primack & Madau 2004 (AJ 128, 163), with the choices of statmorph
(Rodriguez-Gomez et al. 2019, MNRAS 483, 4140), in linear flux, for one detection image a galaxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from galshift.evaluation._apertures import (
    Ellipse,
    EllipseGrowth,
    Growth,
    annulus_mean,
    petrosian,
    radius_of_fraction,
)
from galshift.evaluation._asymmetry import OUTSIDE, Asymmetry, centre_of_symmetry, sky_box, smoothness

MEASURES = ("concentration", "asymmetry", "smoothness", "gini", "m20", "r_half", "r_petrosian")
GOOD, SUSPECT, BAD = 0, 1, 2
CUTOUT, SMALLEST = 2.5, 48  # side of the cut-out: in sides of the segment, and at least [pixel]
THRESHOLD = 1.5  # of a segment, in sigmas of the smoothed sky
_EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Morphology:
    """Measures of N galaxies; NaN where one is not defined.

    Attributes
    ----------
    values : dict of str to ndarray
        By name, each (N,) float64: ``concentration``, ``asymmetry``, ``smoothness``, ``gini``, ``m20``;
        ``r_half`` and ``r_petrosian`` [pixel]; ``colour_<a>_<b>`` [mag], of neighbouring bands.
    flag : ndarray
        (N,) int: 0 good, 1 suspect (the segment of Gini and M20 fell apart), 2 bad (a radius, a box of sky or
        a centre was not found, or a measure is not defined).
    """

    values: dict[str, np.ndarray]
    flag: np.ndarray

    def features(self) -> np.ndarray:
        """Return (N, D) float64, one column a measure in the order of `values`."""
        return np.stack(list(self.values.values()), axis=1)


def measure(
    images: np.ndarray, *, bands: tuple[str, ...] = (), segments: np.ndarray | None = None
) -> Morphology:
    """Measure every galaxy.

    Parameters
    ----------
    images : ndarray
        (N, C, H, W) linear flux, any unit; the sky, the median of the frame, is taken off.  Of an image with
        a pixel that is not finite nothing is measured.
    bands : tuple of str
        Names of the C bands, for colours; without them they are numbered.
    segments : ndarray, optional
        (N, H, W) bool, the pixels of each galaxy; by default those of :func:`segment` on the mean over bands.

    Returns
    -------
    Morphology
    """
    images = np.asarray(images, dtype=np.float64)
    broken = ~np.isfinite(images).all(axis=(1, 2, 3))
    if broken.any():
        images = np.where(broken[:, None, None, None], 0.0, images)
    images = images - _sky(images)[0][..., None, None]
    detection = images.mean(axis=1)
    if segments is None:
        segments = segment(detection)
    rows, flags = [], []
    for image, inside in zip(detection, segments, strict=True):
        values, flag = measure_one(image, inside)
        rows.append(values)
        flags.append(flag)
    table = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(MEASURES))
    columns = {name: table[:, place] for place, name in enumerate(MEASURES)}
    return Morphology({**columns, **colours(images, segments, bands)}, np.asarray(flags, dtype=np.int64))


def segment(images: np.ndarray) -> np.ndarray:
    """Return the pixels (N, H, W) of the galaxy in the middle of each sky-subtracted image (N, H, W).

    Where the image, smoothed by a Gaussian of 1.5 pixels, is above 1.5 sigmas of the sky so smoothed; of the
    pieces, the one with the brightest pixel in the central half.  Empty where nothing there is so bright.
    """
    smooth = ndimage.gaussian_filter(np.asarray(images, dtype=np.float64), (0, 1.5, 1.5))
    middle, sigma = _sky(smooth)
    bright = smooth - middle[:, None, None] > THRESHOLD * sigma[:, None, None]
    apart = np.zeros((3, 3, 3), dtype=bool)
    apart[1] = _EIGHT  # neighbours in an image, never across images
    pieces, _ = ndimage.label(bright, structure=apart)
    height, width = smooth.shape[1:]
    central = np.zeros((height, width), dtype=bool)
    central[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    peak = np.where(central, smooth, -np.inf).reshape(len(smooth), height * width).argmax(axis=1)
    chosen = np.take_along_axis(pieces.reshape(len(smooth), height * width), peak[:, None], axis=1)
    return (pieces == chosen[..., None]) & (chosen[..., None] > 0)


def measure_one(image: np.ndarray, inside: np.ndarray) -> tuple[tuple[float, ...], int]:
    """Return :data:`MEASURES` and the flag of one sky-subtracted image (H, W) and its segment (H, W)."""
    nothing = (np.nan,) * len(MEASURES)
    if not inside.any() or not image[inside].sum() > 0:
        return nothing, BAD
    place = cutout(inside)
    image, inside = np.ascontiguousarray(image[place]), inside[place]
    light = np.where(inside, image, 0.0)
    largest = float(np.hypot(*image.shape))
    centroid, flag = _centroid(light)
    reach, found = petrosian(Growth(image, centroid), largest)
    box = sky_box(~inside)
    sky = 0.0 if box is None else float(np.abs(image[box] - image[box][::-1, ::-1]).mean())
    asymmetry = Asymmetry(image, 1.5 * reach, sky)
    brightest = np.array(np.unravel_index(light.argmax(), light.shape)[::-1], dtype=np.float64)
    centre, settled = centre_of_symmetry(asymmetry, centroid, brightest, 0.25 * reach)
    growth = Growth(image, centre)
    radius, round_found = petrosian(growth, largest)
    inner, half, outer = (radius_of_fraction(growth, 1.5 * radius, part) for part in (0.2, 0.5, 0.8))
    ellipse = _shape(light, centre)
    long_axis, long_found = petrosian(EllipseGrowth(image, ellipse), largest * ellipse.elongation)
    body, pieces = _body(image, centroid, ellipse, long_axis)
    turned = asymmetry(centre)
    values = (
        5 * np.log10(outer / inner) if inner > 0 else np.nan,
        turned if turned < OUTSIDE else np.nan,
        smoothness(image, growth, radius, box),
        gini(image[body]),
        m20(np.where(body, image, 0.0)),
        half,
        radius,
    )
    certain = found and settled and round_found and long_found and box is not None
    if not certain or not np.isfinite(values).all():
        flag = BAD
    return values, max(flag, SUSPECT if pieces > 1 else GOOD)


def gini(pixels: np.ndarray) -> float:
    """Return the Gini coefficient of |flux| (Lotz et al. 2004, equation 6); NaN for fewer than 2 pixels."""
    ordered = np.sort(np.abs(pixels), axis=None)
    n, total = len(ordered), ordered.sum()
    if n < 2 or total == 0:
        return np.nan
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / ((n - 1) * total))


def m20(light: np.ndarray) -> float:
    """Return the second moment of the brightest 20 % of the flux, relative to all, log10 (equations 7, 8).

    `light` (H, W) is 0 outside the galaxy; NaN where a moment or the flux is not positive.
    """
    (x, y), bad = _centroid(light)
    if bad:
        return np.nan
    across = np.square(np.arange(light.shape[1]) - x) + np.square(np.arange(light.shape[0]) - y)[:, None]
    ordered = np.sort(light, axis=None)
    faint = np.cumsum(ordered) / ordered.sum() < 0.8
    if faint.all():
        return np.nan
    threshold = ordered[~faint][0]
    bright, total = (across * np.where(light >= threshold, light, 0.0)).sum(), (across * light).sum()
    return float(np.log10(bright / total)) if bright > 0 and total > 0 else np.nan


def colours(images: np.ndarray, segments: np.ndarray, bands: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Return -2.5 log10 of the ratio of neighbouring bands' fluxes in the segment [mag], each (N,)."""
    names = bands or tuple(str(number) for number in range(images.shape[1]))
    fluxes = np.einsum("nchw,nhw->nc", images, segments.astype(np.float64))
    magnitudes = np.full(fluxes.shape, np.nan)
    np.log10(fluxes, out=magnitudes, where=fluxes > 0)
    return {
        f"colour_{a}_{b}": -2.5 * (magnitudes[:, place] - magnitudes[:, place + 1])
        for place, (a, b) in enumerate(pairwise(names))
    }


def cutout(inside: np.ndarray) -> tuple[slice, slice]:
    """Return the square [pixel] around a segment (H, W) bool that is measured, as far as the image goes.

    It is 2.5 times the segment's longer side, and at least 48 pixels.
    """
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    spans = [(int(line[0]), int(line[-1]) + 1) for line in (rows, columns)]
    reach = max(int(max(stop - start for start, stop in spans) * CUTOUT / 2), SMALLEST // 2)
    middles = [start + (stop - start) // 2 for start, stop in spans]
    return tuple(
        slice(max(0, middle - reach), min(side, middle + reach))
        for middle, side in zip(middles, inside.shape)
    )


def _sky(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust sigma of the frame along the border of each image (..., H, W)."""
    height, width = images.shape[-2:]
    rim = max(1, min(height, width) // 10)
    border = np.ones((height, width), dtype=bool)
    border[rim:-rim, rim:-rim] = False
    pixels = images[..., border]
    middle = np.median(pixels, axis=-1)
    return middle, 1.4826 * np.median(np.abs(pixels - middle[..., None]), axis=-1)


def _centroid(light: np.ndarray) -> tuple[np.ndarray, int]:
    """The centre of light (x, y), and a flag where it is not in the image: then the middle stands for it."""
    total, height, width = light.sum(), *light.shape
    middle = np.array([width / 2, height / 2])
    if total <= 0:
        return middle, BAD
    x, y = light.sum(axis=0) @ np.arange(width) / total, light.sum(axis=1) @ np.arange(height) / total
    return (np.array([x, y]), GOOD) if 0 <= x < width and 0 <= y < height else (middle, BAD)


def _shape(light: np.ndarray, centre: np.ndarray) -> Ellipse:
    """The ellipse of the second moments of `light` about `centre`, none thinner than a pixel."""
    x, y = np.arange(light.shape[1]) - centre[0], np.arange(light.shape[0]) - centre[1]
    total, by_column, by_row = light.sum(), light.sum(axis=0), light.sum(axis=1)
    xx, yy, xy = by_column @ x**2 / total, by_row @ y**2 / total, y @ light @ x / total
    pixel = 1 / 12  # the variance of a pixel's own width
    while abs(xx * yy - xy**2) < pixel**2:
        xx, yy = xx + (pixel if xx >= 0 else -pixel), yy + (pixel if yy >= 0 else -pixel)
    small, large = np.sort(np.abs(np.linalg.eigvalsh([[xx, xy], [xy, yy]])))
    return Ellipse(tuple(centre), float(np.sqrt(large / small)), float(0.5 * np.arctan2(2 * xy, xx - yy)))


def _body(
    image: np.ndarray, centroid: np.ndarray, ellipse: Ellipse, long_axis: float
) -> tuple[np.ndarray, int]:
    """The pixels that Gini and M20 are of, and how many pieces there were.

    The piece with the brightest pixel where the image, smoothed by a fifth of the Petrosian axis, is above
    its own mean at that axis (Lotz et al. 2004, section 3.1).
    """
    smooth = ndimage.gaussian_filter(image, 0.2 * long_axis, mode="constant")
    around = Ellipse(tuple(centroid), ellipse.elongation, ellipse.angle)
    above = smooth >= annulus_mean(EllipseGrowth(smooth, around), long_axis)
    pieces, number = ndimage.label(above, structure=_EIGHT)
    if number <= 1:
        return above, number
    brightest = pieces.flat[smooth.argmax()]
    return pieces == brightest, number
