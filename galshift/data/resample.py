"""Change the pixel scale of an image and keep its flux.

The cumulative flux along an axis is known exactly at every pixel edge; its cubic spline, read at the edges
of the new pixels, gives their flux.  The result is a matrix for each axis, ``out = A X B^T``: flux is
conserved to rounding, integer ratios are exact block sums, and finer pixels come out smooth.  Pixel n // 2
of the input stays at pixel size // 2 of the output, so that padding an image before or after changes
nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=512)
def axis_matrix(n: int, size: int, ratio: float) -> np.ndarray:
    """Return the (size, n) matrix from `n` pixels to `size` pixels that are `ratio` times as wide.

    Rows sum over the input pixels that an output pixel covers; output beyond the input gets nothing.
    """
    from scipy.interpolate import CubicSpline

    edges = (np.arange(size + 1) - (size // 2 + 0.5)) * ratio + (n // 2 + 0.5)
    inside = np.clip(edges, 0, n)
    knots = np.arange(n + 1)
    cumulative = np.vstack([np.zeros((1, n)), np.cumsum(np.eye(n), axis=0)])
    # Snap edges that coincide with pixel edges but for rounding: integer ratios are then exact sums.
    near = np.round(inside)
    inside = np.where(np.abs(inside - near) < 1e-9, near, inside)
    if np.array_equal(inside, near) or n < 4:
        at_edges = np.stack([np.interp(inside, knots, column) for column in cumulative.T], axis=1)
    else:
        at_edges = CubicSpline(knots, cumulative, axis=0, bc_type="natural")(inside)
    matrix = np.diff(at_edges, axis=0)
    matrix.flags.writeable = False
    return matrix


def coverage(n: int, size: int, ratio: float) -> np.ndarray:
    """Return (size,) the fraction of each output pixel that lies on the input, in [0, 1]."""
    edges = np.clip((np.arange(size + 1) - (size // 2 + 0.5)) * ratio + (n // 2 + 0.5), 0, n)
    return np.diff(edges) / ratio


def resample(images: np.ndarray, ratio: float, size: int, *, average: bool = False) -> np.ndarray:
    """Return images on `size` x `size` pixels that are `ratio` times as wide as the input's.

    Parameters
    ----------
    images : ndarray
        (..., H, W), finite.
    ratio : float
        Output pixel scale over input pixel scale; 1 crops or pads.
    size : int
        Side of the output; pixels beyond the input are 0.
    average : bool
        True for surface brightness and pictures (mean over the new pixel), False for flux (sum).

    Returns
    -------
    ndarray
        (..., size, size) float32.
    """
    height, width = images.shape[-2:]
    if ratio == 1:
        return crop_or_pad(images, size)
    rows, columns = axis_matrix(height, size, ratio), axis_matrix(width, size, ratio)
    out = rows @ images.astype(np.float64) @ columns.T
    if average:
        out /= ratio**2
    return out.astype(np.float32)


def crop_or_pad(images: np.ndarray, size: int, fill: float = 0.0) -> np.ndarray:
    """Return the central (..., size, size) of (..., H, W), pixel n // 2 at size // 2; `fill` beyond it."""
    height, width = images.shape[-2:]
    if height == width == size:
        return images
    out = np.full((*images.shape[:-2], size, size), fill, dtype=images.dtype)
    top, left = size // 2 - height // 2, size // 2 - width // 2
    to_y, to_x = slice(max(top, 0), min(top + height, size)), slice(max(left, 0), min(left + width, size))
    from_y = slice(to_y.start - top, to_y.stop - top)
    from_x = slice(to_x.start - left, to_x.stop - left)
    out[..., to_y, to_x] = images[..., from_y, from_x]
    return out


def fit_picture(images: np.ndarray, size: int) -> np.ndarray:
    """Return pictures of no known scale as (..., size, size).

    The shorter side fills the output; what a longer one has beyond that is cut off, half at either end.
    """
    short = min(images.shape[-2:])
    return resample(images, short / size, size, average=True)
