"""Pixels: coordinates, mean over sub-pixels, particles to pixels, smoothing that grows where they are few."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=32)
def coordinates(size: int, oversample: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y [pixels from the middle of the image] of every (sub-)pixel centre, (S, S) float32."""
    step = (np.arange(size * oversample, dtype=np.float32) + np.float32(0.5)) / np.float32(oversample)
    step -= np.float32(size / 2)
    x, y = np.meshgrid(step, step)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def bin_down(image: np.ndarray, oversample: int) -> np.ndarray:
    """Return the mean over oversample x oversample sub-pixels; (..., kS, kS) -> (..., S, S)."""
    if oversample == 1:
        return image
    *lead, height, width = image.shape
    shape = (*lead, height // oversample, oversample, width // oversample, oversample)
    return image.reshape(shape).mean(axis=(-3, -1), dtype=np.float32)


@lru_cache(maxsize=128)
def gaussian_matrix(size: int, sigma: float) -> np.ndarray:
    """Return the (S, S) matrix that smooths by a pixel-integrated Gaussian; light past the edge is lost."""
    from scipy.special import erf

    edges = (np.arange(size + 1)[None, :] - np.arange(size)[:, None] - 0.5) / (np.sqrt(2.0) * sigma)
    weights = 0.5 * np.diff(erf(edges), axis=1)
    return weights.astype(np.float32)


def smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return (..., S, S) smoothed by a Gaussian of `sigma` pixels: two matrix products per image."""
    matrix = gaussian_matrix(image.shape[-1], sigma)
    return matrix @ image @ matrix.T


def deposit(x: np.ndarray, y: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Spread particles over the four nearest pixels (cloud in cell).

    Parameters
    ----------
    x, y : ndarray
        (P,) positions in pixels from the middle of the image.
    weights : ndarray
        (W, P) light of each particle in W maps.
    size : int

    Returns
    -------
    ndarray
        (W, size, size) float32; what falls outside is lost.
    """
    fx, fy = x + (size / 2 - 0.5), y + (size / 2 - 0.5)
    inside = (fx > 0) & (fx < size - 1) & (fy > 0) & (fy < size - 1)
    fx, fy, weights = fx[inside], fy[inside], weights[:, inside]
    ix, iy = fx.astype(np.int64), fy.astype(np.int64)
    fx, fy = fx - ix.astype(np.float32), fy - iy.astype(np.float32)
    corner = iy * size + ix
    maps = np.zeros((len(weights), size * size))
    for shift, share in (
        (0, (1 - fx) * (1 - fy)),
        (1, fx * (1 - fy)),
        (size, (1 - fx) * fy),
        (size + 1, fx * fy),
    ):
        for row, weight in zip(maps, weights):
            row += np.bincount(corner + shift, weight * share, minlength=size * size)
    return maps.reshape(len(weights), size, size).astype(np.float32)


def smooth_adaptively(
    maps: np.ndarray, counts: np.ndarray, *, per_kernel: float = 60.0, sigmas: tuple[float, ...]
) -> np.ndarray:
    """Smooth maps of particles so that about `per_kernel` of them share every kernel; light is kept.

    Each pixel's light is split between the two neighbouring Gaussians of `sigmas` whose width suits the local
    number of particles, then each part is smoothed by its own Gaussian.

    Parameters
    ----------
    maps : ndarray
        (W, S, S).
    counts : ndarray
        (S, S) particles per pixel, unweighted.
    per_kernel : float
        Wanted number of particles in the Gaussian's effective area 4 pi sigma**2.
    sigmas : tuple of float
        Widths in pixels, growing by a constant factor.
    """
    # The density is itself measured with a kernel that suits it: start broad, narrow down where they allow.
    level = np.full(counts.shape, len(sigmas) - 1.0, dtype=np.float32)
    growth = np.log(sigmas[1] / sigmas[0])
    for sigma in sigmas[::-2]:
        density = np.maximum(smooth(counts, sigma), 1e-6)
        wanted = np.log(np.sqrt(per_kernel / (4 * np.pi * density)) / sigmas[0]) / growth
        here = np.log(sigma / sigmas[0]) / growth
        level = np.where(wanted < here + 1, np.minimum(level, np.maximum(wanted, here - 1)), level)
    level = np.clip(level, 0, len(sigmas) - 1).astype(np.float32)
    total = np.zeros_like(maps)
    for index, sigma in enumerate(sigmas):
        share = np.maximum(0, 1 - np.abs(level - index))
        if share.any():
            total += smooth(maps * share, sigma)
    return total
