"""Inverse variances in a file of their own, for images that are stored as one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.readers._base import Opened
from galshift.errors import DataError

if TYPE_CHECKING:
    from galshift.data.cutouts import Cutouts, Dataset
    from galshift.data.options import ReadOptions

_READERS = ("numpy", "hdf5")


def with_weights(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return `dataset`, as its reader opened it, with the inverse variances of the file ``options.weights``.

    Raises
    ------
    DataError
        When there is no such file, it is not of the images' shape, or the images have weights of their own
        that are not overridden.
    """
    if options.weights is None:
        return dataset
    if dataset.info.reader not in _READERS:
        raise DataError(
            f"a file of weights is for images in one .npy, .npz or HDF5 file, not {dataset.info.reader}",
            where=options.weights,
            hint="weights in FITS files are extensions (--role NAME=weight) or files beside the images",
        )
    if dataset.info.has_ivar and "weights" not in options.override:
        raise DataError(
            f"weights are declared, and the files have their own "
            f"({dataset.info.origins.get('noise', 'an inverse variance')})",
            where=dataset.path,
            hint="leave them out, or say --override weights if the files' own are wrong",
        )
    stack = _loaded(Path(options.weights))
    n, (bands, height, width) = dataset.info.n, dataset.info.shape
    layouts = {
        (n, bands, height, width): "NCHW",
        (n, height, width, bands): "NHWC",
        (n, height, width): "NHW",
    }
    layout = layouts.get(stack.shape)
    if layout is None:
        raise DataError(
            f"the weights have the shape {stack.shape}, and the images {(n, bands, height, width)}",
            where=options.weights,
            hint="one weight for each pixel, in the order of the images; (N, H, W) serves all bands",
        )
    return Weighted(dataset, stack, layout)


def _loaded(file: Path) -> np.ndarray:
    if not file.is_file():
        raise DataError("there is no such file of weights", where=file, hint="a .npy of the images' shape")
    try:
        stack = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header is parsed as Python's, and can be wrong in as many ways
        raise DataError("the file of weights is no .npy array that can be read", where=file) from error
    if not isinstance(stack, np.ndarray) or stack.dtype.kind not in "iuf":
        raise DataError("the file of weights is not one .npy array of numbers", where=file)
    return stack


class Weighted(Opened):
    """`dataset` with the inverse variances `stack`, of axes `layout`; what is not above 0 is unknown."""

    def __init__(self, dataset: Dataset, stack: np.ndarray, layout: str) -> None:
        super().__init__(dataset.path, replace(dataset.info, has_ivar=True), dataset.name)
        self._dataset, self._stack, self._layout = dataset, stack, layout

    def __getattr__(self, name: str) -> Any:
        """What else the data set knows of itself (its provenance, its layout) is not of the weights."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, with these weights."""
        rows = self.indices(indices)
        cutouts = self._dataset.read(rows)
        found = np.asarray(self._stack[rows], dtype=np.float32)
        if self._layout == "NHWC":
            found = np.moveaxis(found, -1, 1)
        elif self._layout == "NHW":
            found = found[:, None]
        found = np.where(np.isfinite(found) & (found > 0), found, np.float32(0))
        return replace(cutouts, ivar=np.broadcast_to(found, cutouts.images.shape).copy())
