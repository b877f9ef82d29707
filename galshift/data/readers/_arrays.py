"""Arrays of images as people publish them: which axis is which, and what labels mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.compact import Words
from galshift.data.cutouts import Cutouts, DataInfo
from galshift.data.mask_bits import spoilt
from galshift.data.no_label import labels_of_different, missing_classes, missing_numbers
from galshift.data.options import ReadOptions
from galshift.data.readers._base import Opened, band_names, finite
from galshift.data.units import DIMENSIONLESS, unit_name
from galshift.errors import DataError

MAX_BANDS = 20


class ArrayData(Opened):
    """Images in one array-like (a memory map, an HDF5 data set), any order of axes, read in pieces.

    Parameters
    ----------
    path, info
        As :class:`Opened`.
    rows : callable
        From row numbers to the stored array's rows, in that order.
    layout : str
        Order of the stored axes, such as ``NCHW``, ``NHWC`` or ``NHW``.
    scale : float
        What stored numbers are multiplied by (1/255 for 8-bit pictures).
    extras : dict
        Row readers of ``ivar``, and of ``mask`` (not 0 where bad) or ``good`` (not 0 where good), which may
        be one plane for all bands.
    bits : int or None
        Of the mask, those that spoil a pixel; None: any value but 0.
    """

    def __init__(
        self,
        path: Path,
        info: DataInfo,
        rows: Callable[[np.ndarray], np.ndarray],
        layout: str,
        scale: float = 1.0,
        extras: dict[str, Callable[[np.ndarray], np.ndarray]] | None = None,
        bits: int | None = None,
    ) -> None:
        super().__init__(path, info)
        self._rows, self.layout, self.scale, self._extras = rows, layout, scale, extras or {}
        self.bits = bits

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order."""
        rows, info = self.indices(indices), self.info
        images = to_nchw(self._rows(rows), self.layout).astype(np.float32)
        if self.scale != 1.0:
            images *= np.float32(self.scale)
        extras = {name: self._extra(get(rows), images) for name, get in self._extras.items()}
        mask = spoilt(extras["mask"], self.bits) if "mask" in extras else None
        mask = extras["good"] == 0 if "good" in extras else mask
        images, mask = finite(images, mask)
        ivar = extras.get("ivar")
        if ivar is not None:
            ivar = np.nan_to_num(ivar.astype(np.float32), posinf=0, neginf=0)
        return info.cutouts(rows, images, mask=mask, ivar=ivar)

    def _extra(self, values: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Rows of a mask or of weights, in the order of the images' axes."""
        return values if values.shape == (len(images), *images.shape[2:]) else to_nchw(values, self.layout)


def find_layout(shape: Sequence[int], where: object, n_bands: int | None = None) -> str:
    """Return the order of axes of a stored array: ``NCHW``, ``NHWC``, ``NHW``, ``CHW``, ``HWC`` or ``HW``.

    The band axis is the one of `n_bands`, else the short one (at most 20) beside the two of the image.

    Raises
    ------
    DataError
        When the shape is not that of images.
    """
    if len(shape) == 4:
        first = n_bands == shape[1] or (shape[1] <= MAX_BANDS and shape[1] < shape[3])
        last = n_bands == shape[3] or (shape[3] <= MAX_BANDS and shape[3] < shape[1])
        if first or last:
            return "NCHW" if first else "NHWC"
    elif len(shape) == 3:
        if n_bands is not None and n_bands > 1 and n_bands in (shape[0], shape[2]):
            return "CHW" if shape[0] == n_bands else "HWC"
        return "NHW"
    elif len(shape) == 2:
        return "HW"
    # MATLAB, Julia and Fortran write the first axis last.
    turned = len(shape) == 4 and shape[2] <= MAX_BANDS < min(shape[:2])
    raise DataError(
        f"an array of shape {tuple(shape)} is not one of galaxy images",
        where=where,
        hint="its axes seem to be in the reverse order (W, H, C, N): turn them round, in Python by "
        "images.transpose(), and write it anew"
        if turned
        else "images are (N, C, H, W), (N, H, W, C) or (N, H, W); --bands says how many bands there are",
    )


def to_nchw(array: np.ndarray, layout: str) -> np.ndarray:
    """Return rows of a stored array as (n, C, H, W)."""
    if layout in ("NHWC", "HWC"):
        return np.moveaxis(array, -1, -3)
    if layout in ("NHW", "HW"):
        return array[:, None] if array.ndim == 3 else array
    return array


def describe_array(
    shape: Sequence[int], dtype: np.dtype, options: ReadOptions, where: object, n_bands: int | None = None
) -> tuple[str, int, tuple[int, int, int], str | None, float]:
    """Return layout, N, (C, H, W), unit and scale of a stored array of images.

    The layout has a letter for each axis; images are multiplied by the scale when they are read, 1/255 for
    8-bit values of no declared unit.  The unit is None where nobody declared one.

    Parameters
    ----------
    shape, dtype
        Of the array.
    options : ReadOptions
    where : path-like
        For messages.
    n_bands : int, optional
        Which of the axes are the bands, where the shape does not tell.

    Raises
    ------
    DataError
        When the array holds no images or no numbers, its axes cannot be told apart, or the declared unit is
        none.
    """
    if dtype.kind not in "iufb":
        raise DataError(f"its images are of type {dtype}, not numbers", where=where)
    n_bands = n_bands or (len(options.bands) if len(options.bands) > 1 else None)
    layout = find_layout(shape, where, n_bands)
    sizes = dict(zip(layout, shape))
    n = sizes.get("N", 1)
    if n == 0 or 0 in shape:
        raise DataError("it holds no images", where=where)
    unit = declared_unit(options)
    scale = 1.0
    if dtype == np.uint8 and unit in (None, DIMENSIONLESS):
        unit, scale = DIMENSIONLESS, 1 / 255
    return layout, n, (sizes.get("C", 1), sizes["H"], sizes["W"]), unit, scale


def declared_unit(options: ReadOptions) -> str | None:
    """Return astropy's name of the unit that the user declared, or None.

    Raises
    ------
    DataError
        When it is no unit.
    """
    if options.unit is None:
        return None
    unit = unit_name(options.unit)
    if unit is None:
        raise DataError(
            f"'{options.unit}' is not a unit", where="--unit", hint="such as nJy, nanomaggy, MJy/sr"
        )
    return unit


def interpret_labels(
    values: np.ndarray | None, n: int, where: object
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return labels and class names from integers, names, one-hot rows, soft rows or continuous values.

    What says that there is no label (NaN, -99, an empty name, ...) is -1, or NaN among continuous values.

    Raises
    ------
    DataError
        When there are not `n` labels, in one or two dimensions.
    """
    if values is None:
        return None, ()
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if len(values) != n or values.ndim not in (1, 2):
        raise DataError(f"labels of shape {values.shape} for {n} images", where=where)
    if values.dtype.kind in "USO":
        words = Words(
            (v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)).strip() for v in values
        )
        different, _ = labels_of_different(words)
        names = tuple(sorted(set(different) - {""}))
        index = {name: k for k, name in enumerate(names)}
        return np.asarray([index.get(word, -1) for word in different], dtype=np.int64)[words.codes], names
    if values.ndim == 2:
        classes = tuple(f"class{k}" for k in range(values.shape[1]))
        one_hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
        return (np.argmax(values, axis=1).astype(np.int64), classes) if one_hot else (values, classes)
    missing = missing_classes(values)
    known = values[~missing].astype(np.float64)
    if not len(known):
        return None, ()
    if (known != np.round(known)).any() or known.max() > 10_000 or known.min() < 0:
        return np.where(missing_numbers(values), np.nan, values).astype(np.float32), ()
    labels = np.where(missing, -1, values).astype(np.int64)
    return labels, tuple(f"class{k}" for k in range(int(labels.max()) + 1))


def named_classes(
    labels: np.ndarray | None, found: tuple[str, ...], named: Sequence[str], where: object
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return labels and classes with the names, and in the order, that a file gives its classes.

    Raises
    ------
    DataError
        When a label has no name.
    """
    if labels is None or not named or labels.ndim != 1 or labels.dtype.kind == "f":
        return labels, tuple(named) if labels is not None and labels.ndim == 2 else found
    if found == tuple(f"class{k}" for k in range(len(found))):
        if len(found) > len(named):
            what = f"a label of {len(found) - 1} has no name among its {len(named)} classes"
            raise DataError(what, where=where, hint="labels count from 0; -1 says that an image has none")
        return labels, tuple(named)
    missing = [name for name in found if name not in named]
    if missing:
        raise DataError(f"the label '{missing[0]}' is not among its classes {', '.join(named)}", where=where)
    order = np.asarray([*(list(named).index(name) for name in found), -1])
    return order[labels], tuple(named)


def array_info(
    reader: str,
    n: int,
    shape: tuple[int, int, int],
    unit: str | None,
    options: ReadOptions,
    where: object,
    **details: Any,
) -> DataInfo:
    """Return the :class:`DataInfo` of stored arrays, with the user's words in place."""
    bands = details.pop("bands", None)
    names = options.bands or bands or ()
    ids = details.pop("ids", None)
    ids = np.arange(n).astype(str) if ids is None else np.asarray(ids).astype(str)
    scale = details.pop("pixel_scale", None)
    return DataInfo(
        n=n,
        shape=shape,
        reader=reader,
        unit=unit,
        pixel_scale=options.pixel_scale_arcsec or scale,
        bands=band_names(names, shape[0], where),
        ids=ids,
        groups=details.pop("groups", ids),
        **details,
    )
