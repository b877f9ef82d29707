"""Write galshift's HDF5 files: streaming, chunk-aligned, complete or absent.

Layout (``galshift inspect`` prints it; only ``/images`` is required)::

    /images       (N, C, H, W) float32      /labels   (N,) int64, (N, K) or (N,) float32
    /ids          (N,) text                 /groups   (N,) text
    /mask         (N, C, H, W) or (N, H, W) bool, True = bad
    /ivar         (N, C, H, W) float32      /psf      (P, P), (C, P, P) or (N, C, P, P), attribute pixel_scale
    /pixel_scale  (N,) where it varies      /psf_fwhm (N,) or (N, C) where it varies
    /truth        (N, C, h, w) noiseless    /table/*  (N, ...) one data set a catalogue column

Attributes of the file: schema, classes, bands, unit, pixel_scale, psf_fwhm, survey, history, groups_from
(``given``: /groups are names of galaxies; ``numbered ...``: they count the rows of what it was made of) and
provenance (JSON).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.steady_file import SteadyFile, undisturbed
from galshift.errors import DataError, ResourceError
from galshift.provenance import atomic_path, canonical_json, jsonable

SCHEMA = "galshift-1"
# Small enough that one random image costs little more than itself, large enough to scan quickly.
_CHUNK_BYTES = 256 << 10
_METADATA_BYTES = 1 << 20


def write_hdf5(
    path: str | Path,
    chunks: Cutouts | Iterable[Cutouts],
    *,
    provenance: dict[str, Any] | None = None,
    truth: Iterable[np.ndarray] | None = None,
) -> Path:
    """Write images to one HDF5 file, chunk by chunk; the file appears when it is complete.

    Parameters
    ----------
    path : path-like
        The file; an existing one is replaced.
    chunks : Cutouts or iterable of Cutouts
        All with the same bands, unit, size and optional parts.
    provenance : dict, optional
        JSON-able account of where the images came from.
    truth : iterable of ndarray, optional
        One (n, C, h, w) array of noiseless images beside each chunk.

    Raises
    ------
    DataError
        When there is no image, or a chunk does not fit the first.
    ResourceError
        When the disk is full or cannot be written.
    """
    import h5py

    chunks = iter([chunks] if isinstance(chunks, Cutouts) else chunks)
    truths = repeat(None) if truth is None else iter(truth)
    first = next(chunks, None)
    if first is None or len(first) == 0:
        raise DataError("there are no images to write", where=path)
    try:
        with atomic_path(path) as temporary, SteadyFile(temporary) as stream:
            with undisturbed():
                file = h5py.File(stream, "w", libver="latest")
                _hold_little(file)
                file.create_group("table", track_order=True)
            try:
                for cutouts in chain([first], chunks):
                    with undisturbed():
                        _append(file, cutouts, first, next(truths), path)
                    stream.check()
                with undisturbed():
                    _write_attributes(file, first, provenance)
            finally:
                with undisturbed():
                    file.close()
            stream.check()
    except OSError as error:
        raise ResourceError(f"the file cannot be written: {error}", where=path) from error
    return Path(path)


def _hold_little(file: Any) -> None:
    """Keep the library from holding up to 32 MB of texts and indices of what it has written."""
    cache = file.id.get_mdc_config()
    cache.set_initial_size, cache.initial_size = True, _METADATA_BYTES
    cache.min_size, cache.max_size = _METADATA_BYTES // 2, _METADATA_BYTES
    file.id.set_mdc_config(cache)


def _append(file: Any, cutouts: Cutouts, first: Cutouts, truth: np.ndarray | None, path: object) -> None:
    for name in ("bands", "unit", "classes"):
        if getattr(cutouts, name) != getattr(first, name):
            raise DataError(
                f"chunks differ in {name}: {getattr(first, name)} and {getattr(cutouts, name)}", where=path
            )
    per_image = ("images", "labels", "ids", "groups", "mask", "ivar")
    arrays = {name: getattr(cutouts, name) for name in per_image}
    for name in ("pixel_scale", "psf_fwhm"):
        arrays[name] = _vector(getattr(cutouts, name))
    if cutouts.psf is not None and cutouts.psf.ndim == 4:
        arrays["psf"] = cutouts.psf.astype(np.float32)
    arrays["truth"] = None if truth is None else np.asarray(truth, dtype=np.float32)
    for column in [] if cutouts.table is None else cutouts.table.colnames:
        arrays[f"table/{column.replace('/', '_')}"] = _column(cutouts.table[column])
    for name, value in arrays.items():
        if value is not None:
            _extend(file, name, np.asarray(value), path)
        elif name in file:
            raise DataError(f"a later chunk has no {name}", where=path)


def _extend(file: Any, name: str, value: np.ndarray, path: object) -> None:
    import h5py

    is_text = value.dtype.kind in "UO"
    if name not in file:
        rows = max(1, _CHUNK_BYTES // max(1, value[:1].nbytes))
        written = len(file["images"]) - len(value) if name != "images" and "images" in file else 0
        if written:
            raise DataError(f"an earlier chunk had no {name}", where=path)
        file.create_dataset(
            name,
            shape=(0, *value.shape[1:]),
            maxshape=(None, *value.shape[1:]),
            chunks=(min(rows, 4096), *value.shape[1:]),
            dtype=h5py.string_dtype() if is_text else value.dtype,
            compression="lzf" if name == "mask" else None,
        )
    data = file[name]
    if data.shape[1:] != value.shape[1:]:
        shapes = f"{data.shape[1:]} and {value.shape[1:]}"
        raise DataError(f"chunks differ in the shape of {name}: {shapes}", where=path)
    start = len(data)
    data.resize(start + len(value), axis=0)
    data[start:] = value.astype(object) if is_text else value


def _write_attributes(file: Any, first: Cutouts, provenance: dict[str, Any] | None) -> None:
    attributes = file.attrs
    attributes["schema"] = SCHEMA
    attributes["unit"] = first.unit
    attributes["groups_from"] = first.groups_from
    for name in ("classes", "bands", "history"):
        attributes[name] = json.dumps(list(getattr(first, name)))
    for name in ("pixel_scale", "psf_fwhm"):
        value = getattr(first, name)
        if value is not None and np.ndim(value) == 0:
            attributes[name] = float(value)
    if first.survey is not None:
        attributes["survey"] = first.survey
    if first.psf is not None:
        if first.psf.ndim != 4:
            file.create_dataset("psf", data=first.psf.astype(np.float32))
        if first.psf_pixel_scale is not None:
            file["psf"].attrs["pixel_scale"] = float(first.psf_pixel_scale)
    attributes["provenance"] = canonical_json(jsonable(provenance or {}))


def _vector(value: float | np.ndarray | None) -> np.ndarray | None:
    return None if value is None or np.ndim(value) == 0 else np.asarray(value, dtype=np.float64)


def _column(column: Any) -> np.ndarray:
    values = np.ma.asarray(getattr(column, "value", column))
    if values.dtype.kind in "US":
        return np.ma.filled(values.astype(str), "")
    if values.dtype.kind == "O":
        return np.asarray([str(item) for item in values])
    if np.ma.is_masked(values) and values.dtype.kind in "iu":
        values = values.astype(np.float64)
    return np.ma.filled(values, np.nan) if values.dtype.kind == "f" else np.ma.getdata(values)
