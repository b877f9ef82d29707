"""The level of the sky that was left in images, from their borders, and images without it."""

from __future__ import annotations

from typing import Literal

import numpy as np

#: What is taken off every image: nothing, one level a band, or a plane a band.
Sky = Literal["as-is", "level", "plane"]
_CLIP, _ROUNDS = 3.0, 4  # sigmas beyond which a border pixel is light, and how often that is asked


def sky_levels(images: np.ndarray) -> np.ndarray:
    """Return the median (N, C) of the outer tenth of each side of images (N, C, H, W), in their unit."""
    return np.median(_border(images), axis=-1)


def without_sky(images: np.ndarray, sky: Sky) -> np.ndarray:
    """Return images less their own sky.

    Parameters
    ----------
    images : ndarray
        (N, C, H, W), linear, bad pixels filled.
    sky : str
        ``as-is`` returns `images`; ``level`` takes off the median of the outer tenth of each side;
        ``plane`` the plane that fits those pixels by least squares, stars and outskirts in them left out
        (beyond 3 sigma, four times).  Light of a galaxy that covers a border counts as sky.

    Returns
    -------
    ndarray
        (N, C, H, W) float32.
    """
    if sky == "as-is":
        return images
    if sky not in ("level", "plane"):
        raise ValueError(f"no sky is called {sky!r}")
    if sky == "level":
        return (images - sky_levels(images)[..., None, None]).astype(np.float32)
    terms = _terms(*images.shape[-2:])
    return (images - np.einsum("ncj,jhw->nchw", _coefficients(images, terms), terms)).astype(np.float32)


def sky_slopes(images: np.ndarray) -> np.ndarray:
    """Return what the planes of :func:`without_sky` rise by over a side, along the steepest line, (N, C)."""
    found = _coefficients(images, _terms(*images.shape[-2:]))
    return np.hypot(found[..., 1], found[..., 2])


def _terms(height: int, width: int) -> np.ndarray:
    """(3, H, W): one, and the two coordinates, from -0.5 to 0.5 over a side."""
    y, x = (np.arange(side) / side - 0.5 for side in (height, width))
    return np.stack(np.broadcast_arrays(1.0, y[:, None], x[None]))


def _coefficients(images: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """The factors (N, C, 3) of `terms` that fit the borders of images in their clipped pixels."""
    edge, terms = _border(images), _border(terms[None])[0]
    products = np.einsum("ip,jp->pij", terms, terms).reshape(-1, 9)
    weight = np.ones_like(edge)
    for _ in range(_ROUNDS):
        # A border of few values may leave pixels of one line alone, which tell no plane.
        inverse = np.linalg.pinv((weight @ products).reshape(*edge.shape[:2], 3, 3), hermitian=True)
        found = (inverse @ ((weight * edge) @ terms.T)[..., None])[..., 0]
        left = edge - found @ terms
        left = np.abs(left - np.median(left, axis=-1, keepdims=True))
        weight = (left <= _CLIP * 1.4826 * np.median(left, axis=-1, keepdims=True)).astype(float)
    return found


def _border(images: np.ndarray) -> np.ndarray:
    import torch

    from galshift.data.stretch import border

    return border(torch.from_numpy(np.ascontiguousarray(images))).numpy().astype(np.float64)
