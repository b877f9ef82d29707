"""Images and tables given to a function in place of a path: stored once, under a name made of their content.

They stand in the user's cache folder, so that a run that was made of them can be evaluated later, and the
same content is the same input wherever it was made: fingerprints are of contents.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.errors import DataError
from galshift.provenance import atomic_path
from galshift.user_cache import writable_cache

_IMAGES = ("images", "image", "cutout", "cutouts")


def as_paths(value: Any, name: str, *, many: bool) -> Any:
    """Return an argument with every image, table or result in it replaced by a path.

    Parameters
    ----------
    value : object
        A path, data, or (where `many`) a list of those or a mapping of names to them.
    name : str
        The argument's name, which becomes the data set's in reports.
    many : bool
    """
    if not many:
        return as_path(value, name)
    if isinstance(value, Mapping):
        return [f"{key}={as_path(item, str(key))}" for key, item in value.items()]
    if isinstance(value, list):
        return [as_path(item, f"{name}-{i}" if len(value) > 1 else name) for i, item in enumerate(value)]
    return [as_path(value, name)]


def as_path(value: Any, name: str) -> Any:
    """Return the path of `value`, after storing what is no path; None and text stay.

    Raises
    ------
    DataError
        When it is neither a path nor data.
    """
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "as_input"):
        return value.as_input(name)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Cutouts):
        return stored_cutouts(value, name)
    if isinstance(value, Table):
        return _stored_table(value, name)
    if isinstance(value, tuple) and len(value) == 2:
        images, labels = (np.asarray(part) for part in value)
        return f"{_stored_array(images, name)}:{_stored_array(labels, f'{name}-labels')}"
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        return _stored_array(np.asarray(value), name)
    raise DataError(
        f"{name} is a {type(value).__name__}",
        hint="give a path, an array, a pair (images, labels), Cutouts, an astropy Table or a result",
    )


def stored_cutouts(cutouts: Cutouts, name: str) -> str:
    """Store images as HDF5 and return the path."""
    parts = []
    for item in fields(cutouts):
        value = getattr(cutouts, item.name)
        if isinstance(value, np.ndarray):
            parts += [item.name, *_of_array(value)]
        elif isinstance(value, Table):
            parts += [item.name, *(part for key in value.colnames for part in (key, *_of_array(value[key])))]
        else:
            parts += [item.name, repr(value)]
    return _stored(parts, f"{name}.h5", lambda path: write_hdf5(path, cutouts))


def stored_chunks(identity: list[str], chunks: Iterable[Cutouts], name: str) -> str:
    """Store images that come in pieces as HDF5 and return the path; `identity` says what they are."""
    return _stored(identity, f"{name}.h5", lambda path: write_hdf5(path, chunks))


def _stored_array(array: np.ndarray, name: str) -> str:
    if array.dtype == object:
        raise DataError(f"{name} is an array of Python objects, not of numbers or text")
    return _stored(_of_array(array), f"{name}.npy", lambda path: _save(path, array))


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def _stored_table(table: Table, name: str) -> str:
    """Store a table of images as images, and any other as a catalogue."""
    column = next((key for key in table.colnames if key.lower() in _IMAGES and table[key].ndim >= 3), None)
    if column is not None:
        return stored_cutouts(_cutouts_of(table, column), name)
    parts = [part for key in table.colnames for part in (key, *_of_array(table[key]))]

    def write(path: Path) -> None:
        with atomic_path(path) as temporary:
            table.write(temporary, format="ascii.ecsv", overwrite=True)

    return _stored(parts, f"{name}.ecsv", write)


def _cutouts_of(table: Table, column: str) -> Cutouts:
    """Return the images of a table's column, with its other columns as their catalogue."""
    images = np.asarray(table[column])
    rest = table[[key for key in table.colnames if key != column]]
    known = {key.lower(): key for key in rest.colnames}
    labels, classes = None, ()
    if "label" in known:
        classes, labels = np.unique(np.asarray(rest[known["label"]]).astype(str), return_inverse=True)
        rest.remove_column(known["label"])
    unit = str(table[column].unit) if table[column].unit is not None else "dimensionless"
    meta = {key.lower(): value for key, value in table.meta.items()}
    return Cutouts(
        images=images if images.ndim == 4 else images[:, None],
        unit=unit,
        pixel_scale=meta.get("pixel_scale"),
        bands=tuple(meta.get("bands", ())),
        ids=np.asarray(rest[known["id"]]).astype(str) if "id" in known else None,
        groups=np.asarray(rest[known["group"]]).astype(str) if "group" in known else None,
        labels=labels,
        classes=tuple(classes),
        table=rest if rest.colnames else None,
    )


def _of_array(array: Any) -> list[Any]:
    """What identifies an array: kind, shape and bytes (of masked ones the mask too)."""
    values = np.ma.asarray(array)
    plain = np.ascontiguousarray(np.ma.getdata(values))
    data = plain.astype(str) if plain.dtype.kind == "O" else plain
    mask = np.ma.getmaskarray(values).tobytes() if np.ma.is_masked(values) else b""
    return [str(data.dtype), data.shape, data.tobytes(), mask, str(getattr(array, "unit", ""))]


def _stored(parts: list[Any], file: str, write: Callable[[Path], Any]) -> str:
    """Return the path of a file whose folder is named by the content; it is written if it is not there.

    It is in the user's cache, or where that cannot be written in a folder that goes when Python ends.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    path = (writable_cache("inputs") or _passing_folder()) / digest.hexdigest()[:16] / file
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    return str(path)


@cache
def _passing_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="galshift-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
