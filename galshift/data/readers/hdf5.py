"""HDF5 files: galshift's own layout, and the public layouts of galaxy images."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import NUMBERED, Cutouts, DataInfo
from galshift.data.identity import names_of_products
from galshift.data.mask_bits import declared_bits, spoilt
from galshift.data.options import ReadOptions, bits_value
from galshift.data.readers import READERS
from galshift.data.readers._arrays import declared_unit, find_layout, interpret_labels, named_classes
from galshift.data.readers._base import Opened, finite
from galshift.data.readers._hdf5_parts import (
    attribute_list,
    attribute_text,
    check_rows,
    numbers_of,
    one_line,
    open_file,
    read_rows,
    text_rows,
    texts,
    whole,
)
from galshift.data.units import unit_name
from galshift.errors import DataError


@READERS.register("hdf5")
def open_hdf5(path: str | Path, options: ReadOptions) -> Opened:
    """Open an HDF5 file by its ``schema``, by galshift's other attributes, or by its data sets' names."""
    path = Path(path)
    with open_file(path) as file:
        if _has_schema(file) or _written_alike(file, path):
            return Hdf5Data(path, _own_info(path, file, options), options)
        from galshift.data.readers._hdf5_foreign import open_foreign

        return open_foreign(path, file, options)


def _has_schema(file: Any) -> bool:
    return (attribute_text(file, "schema") or "").startswith("galshift-")


def _written_alike(file: Any, path: Path) -> bool:
    """Return whether a file without ``schema`` has galshift's /images and attributes all the same."""
    import h5py

    images = file.get("images")
    if not isinstance(images, h5py.Dataset) or images.ndim != 4 or images.dtype.kind != "f":
        return False
    if not any(name in file.attrs for name in ("unit", "pixel_scale", "bands", "classes")):
        return False
    n_bands = len(attribute_list(file, "bands")) or None
    return find_layout(images.shape, path, n_bands) == "NCHW"


class Hdf5Data(Opened):
    """A file in galshift's own layout (:mod:`galshift.data.hdf5`), read in runs of neighbouring rows."""

    def __init__(self, path: Path, info: DataInfo, options: ReadOptions) -> None:
        super().__init__(path, info)
        self.options = options
        self._file: Any = None
        self._pid = 0

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order; neighbouring rows are read in one piece.

        Raises
        ------
        DataError
            When the images cannot be read.
        """
        rows, info = self.indices(indices), self.info
        try:
            file = self._open()
            parts = {name: read_rows(file[name], rows) for name in ("mask", "ivar") if name in file}
            images, mask = finite(read_rows(file["images"], rows), self._spoilt(parts.get("mask")))
            psf = None
            if "psf" in file:
                psf = file["psf"][()] if file["psf"].ndim < 4 else read_rows(file["psf"], rows)
            psf_scale = file["psf"].attrs.get("pixel_scale") if "psf" in file else None
        except DataError:
            raise
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError) as error:
            raise DataError(f"its images cannot be read: {one_line(error)}", where=self.path) from error
        scale = None if psf_scale is None else float(psf_scale)
        return info.cutouts(rows, images, mask=mask, ivar=parts.get("ivar"), psf=psf, psf_pixel_scale=scale)

    def _spoilt(self, mask: np.ndarray | None) -> np.ndarray | None:
        """Where the mask spoils a pixel: wherever it is not 0, or by the bits that the user states."""
        bits = self.options.mask_bits
        if mask is None or bits is None:
            return None if mask is None else mask.astype(bool, copy=False)
        return spoilt(mask, bits_value(bits))

    def truth(self, indices: Sequence[int] | np.ndarray) -> np.ndarray | None:
        """Return the noiseless images (n, C, h, w) at `indices`, or None where the file has none."""
        file = self._open()
        return read_rows(file["truth"], self.indices(indices)) if "truth" in file else None

    def provenance(self) -> dict[str, Any]:
        """Return the account of where the images came from that was stored in the file."""
        try:
            return json.loads(self._open().attrs.get("provenance", "{}"))
        except (ValueError, TypeError, RecursionError):
            return {}

    def layout_of_file(self) -> dict[str, str]:
        """Return shape and type of every data set in the file, by name."""
        return layout_of(self._open())

    def _open(self) -> Any:
        # A handle must not cross a fork, so that each process opens its own.
        if self._file is None or self._pid != os.getpid():
            self._file, self._pid = open_file(self.path), os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}


def layout_of(group: Any, prefix: str = "", seen: set[Any] | None = None) -> dict[str, str]:
    """Return ``(N, C, H, W) float32`` and the like for every data set below a group.

    A group is gone through once, by whatever names it is linked into others.
    """
    import h5py

    found: dict[str, str] = {}
    seen = set() if seen is None else seen
    place = h5py.h5o.get_info(group.id).addr
    if place in seen:
        return found
    seen.add(place)
    for name in group:
        item = group.get(name)
        if isinstance(item, h5py.Dataset):
            kind = "text" if item.dtype.kind in "OS" else str(item.dtype)
            found[f"{prefix}{name}"] = f"{item.shape} {kind}"
        elif isinstance(item, h5py.Group) and prefix.count("/") < 4:
            found |= layout_of(item, f"{prefix}{name}/", seen)
    return found


def _own_info(path: Path, file: Any, options: ReadOptions) -> DataInfo:
    import h5py

    images = file.get("images")
    if not isinstance(images, h5py.Dataset) or images.ndim != 4:
        raise DataError("the file has no /images of shape (N, C, H, W)", where=path)
    n = len(images)
    if n == 0:
        raise DataError("the file holds no images", where=path)
    check_rows(images, path)
    _check_shapes(file, images.shape, path)
    bands = tuple(attribute_list(file, "bands")) or tuple(f"band{i}" for i in range(images.shape[1]))
    if len(bands) != images.shape[1]:
        raise DataError(f"{len(bands)} band names for {images.shape[1]} bands", where=path)
    ids = text_rows(file["ids"], path) if "ids" in file else np.arange(n).astype(str)
    groups = text_rows(file["groups"], path) if "groups" in file else None
    if groups is not None and np.array_equal(groups, ids):
        groups = ids  # of a large survey names are most of what is held
    unit = attribute_text(file, "unit")
    if unit is not None and unit_name(unit) is None and options.unit is None:
        raise DataError(
            f"its attribute 'unit' is no unit: {unit[:40]}",
            where=path,
            hint="state it with --unit, such as nJy",
        )
    labels, classes = _labels(file, n, path)
    named = NUMBERED if groups is None else names_of_products(attribute_text(file, "groups_from"), groups)
    return DataInfo(
        n=n,
        shape=tuple(images.shape[1:]),
        reader="hdf5",
        unit=declared_unit(options) or (unit if _has_schema(file) else unit_name(unit)),
        pixel_scale=options.pixel_scale_arcsec or numbers_of(file, "pixel_scale"),
        bands=options.bands if len(options.bands) == len(bands) else bands,
        ids=ids,
        groups=ids if groups is None else groups,
        groups_from=named,
        labels=labels,
        classes=classes,
        survey=attribute_text(file, "survey"),
        psf_fwhm=numbers_of(file, "psf_fwhm"),
        history=tuple(attribute_list(file, "history")),
        origins=_origins(file, options),
        has_mask="mask" in file,
        has_ivar="ivar" in file,
        has_psf="psf" in file,
        table=_table(file, n, path),
    )


def _check_shapes(file: Any, shape: tuple[int, ...], path: Path) -> None:
    """Refuse parts of the file that do not fit its images (N, C, H, W)."""
    import h5py

    n, bands = shape[:2]
    if 0 in shape:
        raise DataError(f"its images have no pixels: /images is {shape}", where=path)
    plane = (n, *shape[2:])
    allowed: dict[str, set[tuple[int, ...]]] = {
        "ids": {(n,)},
        "groups": {(n,)},
        "mask": {shape, plane},
        "ivar": {shape},
        "pixel_scale": {(n,)},
        "psf_fwhm": {(n,), (n, bands)},
    }
    for name in (*allowed, "labels", "psf"):
        data = file.get(name)
        if data is None:
            continue
        if not isinstance(data, h5py.Dataset):
            raise DataError(f"/{name} is no data set", where=path)
        if name == "labels" and data.ndim in (1, 2) and len(data) == n:
            continue
        if name == "psf" and data.ndim in (2, 3, 4) and (data.ndim < 4 or len(data) == n):
            continue
        if data.shape not in allowed.get(name, ()):
            rows = f"{len(data)} rows" if data.ndim else "one value"
            of = rows if data.ndim < 2 or len(data) != n else f"the shape {data.shape}"
            raise DataError(f"/{name} has {of} for {n} images", where=path)


def _origins(file: Any, options: ReadOptions) -> dict[str, str]:
    """Where in the file unit, scale, bands, mask, noise and PSF stand, but for what the options say."""
    said = {"unit": options.unit, "pixel_scale": options.pixel_scale_arcsec, "bands": options.bands}
    found = {
        name: f"/{name}" if name in file else f"attribute '{name}'"
        for name, word in said.items()
        if not word and (name in file or name in file.attrs)
    }
    parts = {"mask": "mask", "noise": "ivar", "psf": "psf"}
    found |= {name: f"/{part}" for name, part in parts.items() if part in file}
    return (
        found | declared_bits(options.mask_bits, "/mask", file["mask"].dtype if "mask" in file else None)[1]
    )


def _labels(file: Any, n: int, path: Path) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels as galshift stores them, or of others: names, numbers of classes, numbers."""
    classes = tuple(attribute_list(file, "classes"))
    values = whole(file["labels"], path) if "labels" in file else None
    if values is None or _has_schema(file):
        return values, classes
    return named_classes(*interpret_labels(values, n, path), classes, path)


def _table(file: Any, n: int, path: Path) -> Any:
    import h5py

    group = file.get("table")
    if not isinstance(group, h5py.Group) or not len(group):
        return None
    from astropy.table import Table

    columns = {name: whole(group[name], path) for name in group if isinstance(group.get(name), h5py.Dataset)}
    wrong = next((name for name, value in columns.items() if np.shape(value)[:1] != (n,)), None)
    if wrong is not None:
        raise DataError(f"/table/{wrong} has no row for each of {n} images", where=path)
    return Table(
        {name: texts(value, path) if value.dtype.kind in "OS" else value for name, value in columns.items()}
    )
