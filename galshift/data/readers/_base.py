"""What readers share: the shape of a data set, and small checks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galshift.data.cutouts import Cutouts, DataInfo
from galshift.errors import DataError


class Opened:
    """Base of every data set that a reader returns: metadata now, pixels by :meth:`read`.

    Parameters
    ----------
    path : Path or None
        Where it came from; None for what was made in memory.
    info : DataInfo
    name : str, optional
        Short name in reports; the stem of `path` by default.
    """

    def __init__(self, path: Path | None, info: DataInfo, name: str | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.name = name or ("data" if path is None else stem(path))
        self.info = info

    def __len__(self) -> int:
        return self.info.n

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order."""
        raise TypeError(f"{type(self).__name__} has no read()")

    def indices(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return `indices` as a checked int64 array.

        Raises
        ------
        IndexError
            When one is outside the data set.
        """
        array = np.atleast_1d(np.asarray(indices, dtype=np.int64))
        if array.size and (array.min() < 0 or array.max() >= len(self)):
            raise IndexError(f"image {array.max()} of a data set of {len(self)}")
        return array


def stem(path: str | Path) -> str:
    """Return a file's name without folder and suffixes such as ``.fits.gz``."""
    name = os.path.basename(os.fspath(path).rstrip("/")) or "data"
    for suffix in (".gz", ".bz2", ".fz"):
        name = name.removesuffix(suffix)
    root, suffix = os.path.splitext(name)
    return root if suffix and len(suffix) <= 8 else name


def finite(images: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return float32 images whose bad pixels are 0, and the mask grown by every NaN or infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        images = np.asarray(images, dtype=np.float32)
    bad = ~np.isfinite(images)
    if mask is None:
        return (np.where(bad, np.float32(0), images), bad) if bad.any() else (images, None)
    shared = mask if mask.ndim == bad.ndim else mask[:, None]
    # A mask that all bands share stays one plane, unless a band has a bad pixel of its own.
    grown = bool((bad & ~shared).any())
    bad |= shared
    if bad.any():
        images = np.where(bad, np.float32(0), images)
    return images, bad if grown else mask


def band_names(names: Sequence[str], n_bands: int, where: object) -> tuple[str, ...]:
    """Return the user's band names after checking how many there are.

    Raises
    ------
    DataError
        When there are names, but not `n_bands` of them.
    """
    if names and len(names) != n_bands:
        raise DataError(
            f"{len(names)} band names ({','.join(names)}) for images with {n_bands} bands",
            where=where,
            hint=f"give {n_bands} names to --bands, in the order of the band axis",
        )
    return tuple(names) or tuple(f"band{i}" for i in range(n_bands))


def pad_stack(images: Sequence[np.ndarray], size: tuple[int, int] | None = None) -> np.ndarray:
    """Stack (C, H, W) images of several sizes, padding with NaN around the common centre pixel (H//2, W//2).

    Returns
    -------
    stack : ndarray
        (N, C, H, W) of `size`, or of the largest; NaN where padded.
    """
    height, width = size or (max(image.shape[axis] for image in images) for axis in (1, 2))
    if all(image.shape[1:] == (height, width) for image in images):
        return np.stack(images)
    stack = np.full((len(images), images[0].shape[0], height, width), np.nan, dtype=np.float32)
    for row, image in zip(stack, images):
        top, left = height // 2 - image.shape[1] // 2, width // 2 - image.shape[2] // 2
        row[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return stack
