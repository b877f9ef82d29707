"""Match bands, bad pixels, pixel scales and sizes of one data set to those of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.resample import crop_or_pad, fit_picture, resample
from galshift.errors import DataError


def band_order(have: Sequence[str], want: Sequence[str]) -> list[int]:
    """Return where each wanted band is among those at hand.

    Names match exactly, or else but for capitals where that is unambiguous.  Images whose bands are not named
    (``band0``, ``band1``, ...) match only as many that are not named either.

    Raises
    ------
    DataError
        Naming both sides, when a band is missing.
    """
    folded = [name.casefold() for name in have]
    order = []
    for name in want:
        if name in have:
            order.append(list(have).index(name))
        elif folded.count(name.casefold()) == 1:
            order.append(folded.index(name.casefold()))
        else:
            unnamed = all(band.startswith("band") for band in have)
            hint = (
                f"name them in the order of the band axis, such as --bands {','.join(want)}"
                if unnamed
                else "train on the bands that both have with --bands, or, where these are the same by other "
                "names, name them with --bands (and --override bands)"
            )
            raise DataError(
                f"band '{name}' is not among these images' bands {','.join(have)} "
                f"(the model uses {','.join(want)})",
                hint=hint,
            )
    return order


def fill_bad(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return images whose bad pixels are interpolated from their neighbours, or take the image's sky.

    Parameters
    ----------
    images : ndarray
        (N, C, H, W).
    mask : ndarray
        (N, C, H, W) bool, True = bad.

    Returns
    -------
    ndarray
        Gaussian-weighted mean (sigma 1.5 px) of the good neighbours; the median of the good pixels where
        there is none within about 4 px; 0 where the whole plane is bad.
    """
    from scipy.ndimage import gaussian_filter

    out = images.copy()
    for n, c in np.argwhere(mask.any(axis=(2, 3))):
        bad = mask[n, c]
        good = ~bad
        if not good.any():
            out[n, c] = 0
            continue
        plane = np.where(good, images[n, c], 0).astype(np.float64)
        weight = gaussian_filter(good.astype(np.float64), 1.5, mode="constant", truncate=3)
        smooth = gaussian_filter(plane, 1.5, mode="constant", truncate=3)
        sky = np.median(images[n, c][good])
        near = weight > 0.02
        filled = np.where(near, smooth / np.where(near, weight, 1), sky)
        out[n, c][bad] = filled[bad]
    return out


def has_pixels(cutouts: Cutouts) -> np.ndarray:
    """Return (N,) bool: whether an image has one good pixel in any band."""
    if cutouts.mask is None:
        return np.ones(len(cutouts), dtype=bool)
    return ~cutouts.mask.reshape(len(cutouts), -1).all(axis=1)


def match_scale(
    images: np.ndarray,
    have: float | np.ndarray | None,
    want: float | None,
    size: int,
    *,
    average: bool,
) -> np.ndarray:
    """Return (N, C, size, size) images at `want` arcsec / pixel, sky beyond their edges.

    Parameters
    ----------
    images : ndarray
        (N, C, H, W), finite.
    have : float, ndarray or None
        arcsec per pixel, one or (N,); with `want` None nothing is known and images are resized whole.
    want : float or None
    size : int
    average : bool
        Whether pixels hold surface brightness rather than flux.
    """
    if want is None:
        if images.shape[-2:] == (size, size):
            return np.ascontiguousarray(images, dtype=np.float32)
        return fit_picture(images, size)
    scales = np.broadcast_to(np.asarray(have, dtype=float), (len(images),))
    # Scales within a thousandth are the same: resampling would only blur.
    ratios = np.where(np.abs(want / scales - 1) < 1e-3, 1.0, want / scales)
    out = np.empty((*images.shape[:2], size, size), dtype=np.float32)
    if (ratios == 1).all() and size <= min(images.shape[-2:]):
        # Nothing to resample and nothing beyond the edges: the pixels stay as they are, to the last bit.
        return np.ascontiguousarray(crop_or_pad(images, size), dtype=np.float32)
    for ratio in np.unique(ratios):
        rows = ratios == ratio
        sky = _sky(images[rows])
        part = resample(images[rows] - sky, float(ratio), size, average=average)
        out[rows] = part + (sky if average else sky * ratio**2)
    return out


def _sky(images: np.ndarray) -> np.ndarray:
    """Return the median (N, C, 1, 1) of each plane's border."""
    edges = (images[..., :1, :], images[..., -1:, :], images[..., :, :1], images[..., :, -1:])
    flat = np.concatenate([edge.reshape(*images.shape[:2], -1) for edge in edges], axis=-1)
    return np.median(flat, axis=-1)[..., None, None].astype(np.float32)
