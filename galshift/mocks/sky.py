"""Sky: what its subtraction leaves behind, and insertion into real blank-sky cut-outs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from galshift.data.cutouts import Cutouts, Dataset
from galshift.errors import DataError
from galshift.mocks.units import to_njy


def residual(
    shape: tuple[int, int], sky_njy: float, rms_fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return what sky subtraction leaves: an offset and a gradient, each with `rms_fraction` of the sky.

    Parameters
    ----------
    shape : tuple of int
        (H, W).
    sky_njy : float
        Sky [nJy / pixel].
    rms_fraction : float
        Typically 0.001 to 0.005.
    rng : Generator

    Returns
    -------
    plane : ndarray
        (H, W) float32 [nJy / pixel].
    offset : float
        Its mean.
    """
    offset, slope_y, slope_x = rng.normal(size=3) * rms_fraction * sky_njy
    y = np.linspace(-0.5, 0.5, shape[0])[:, None]
    x = np.linspace(-0.5, 0.5, shape[1])[None, :]
    return (offset + slope_y * y + slope_x * x).astype(np.float32), float(offset)


@lru_cache(maxsize=4)
def open_sky(path: str, survey_scale: float) -> Dataset:
    """Open a data set of blank-sky cut-outs and check that its pixels are the survey's.

    Raises
    ------
    DataError
        When the pixel scale is missing or differs by more than 1 %.
    """
    from galshift.data.open import open_dataset

    dataset = open_dataset(path)
    scale = dataset.info.pixel_scale
    if scale is None:
        raise DataError("the blank sky has no pixel scale", where=path)
    if np.any(np.abs(np.asarray(scale) / survey_scale - 1) > 0.01):
        raise DataError(
            f"the blank sky has pixels of {np.median(scale):g} arcsec, the survey of {survey_scale:g}",
            where=path,
            hint="use sky of the same survey; resampled sky has other noise",
        )
    return dataset


@dataclass(frozen=True)
class Piece:
    """A piece of blank sky.

    Attributes
    ----------
    image : ndarray
        (C, H, W) float32 [nJy / pixel].
    mask : ndarray
        (C, H, W) bool, True = bad.
    name : str
        Which cut-out.
    sigma : list of float
        Robust scatter of a pixel in each band [nJy].
    contaminated : float
        Fraction of its pixels above 5 sigma: light of other sources.
    """

    image: np.ndarray
    mask: np.ndarray
    name: str
    sigma: list[float]
    contaminated: float


def draw(dataset: Dataset, bands: tuple[str, ...], shape: tuple[int, int], rng: np.random.Generator) -> Piece:
    """Cut a random piece of blank sky, the same piece in every band, mirrored at random.

    Mirrored but never rotated: the noise of drizzled or drift-scanned images has a direction.

    Raises
    ------
    DataError
        When the cut-outs are smaller than `shape` or lack a band.
    """
    cutouts: Cutouts = to_njy(dataset.read([int(rng.integers(len(dataset)))]), where=dataset.path)
    missing = [band for band in bands if band not in cutouts.bands]
    if missing:
        raise DataError(f"the blank sky has no band {', '.join(missing)}", where=dataset.path)
    room = [have - need for have, need in zip(cutouts.images.shape[2:], shape)]
    if min(room) < 0:
        raise DataError(
            f"the blank sky is {cutouts.images.shape[2]} x {cutouts.images.shape[3]} pixels, "
            f"smaller than the mocks' {shape[0]} x {shape[1]}",
            where=dataset.path,
            hint="give larger cut-outs, or a smaller --size",
        )
    top, left = (int(rng.integers(space + 1)) for space in room)
    flips = [axis for axis in (1, 2) if rng.random() < 0.5]
    window = (slice(None), slice(top, top + shape[0]), slice(left, left + shape[1]))
    chosen = [cutouts.bands.index(band) for band in bands]
    mask = np.zeros(cutouts.images.shape[1:], dtype=bool)
    if cutouts.mask is not None:
        mask |= cutouts.mask[0]
    image = np.flip(cutouts.images[0][chosen][window], flips).copy()
    middle = np.median(image, axis=(1, 2), keepdims=True)
    sigma = 1.4826 * np.median(np.abs(image - middle), axis=(1, 2), keepdims=True)
    above = float(np.mean(image - middle > 5 * np.maximum(sigma, 1e-30)))
    bad = np.flip(mask[chosen][window], flips).copy()
    return Piece(image, bad, str(cutouts.ids[0]), [float(value) for value in sigma.ravel()], above)
