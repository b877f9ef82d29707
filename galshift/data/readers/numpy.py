"""NumPy arrays: ``.npy``, a pair ``x.npy:y.npy`` of images and labels, or ``.npz``."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from galshift.bounds import check_unpacked, plain_file, size
from galshift.data.mask_bits import declared_bits
from galshift.data.options import ReadOptions
from galshift.data.paths import split_pair
from galshift.data.readers import READERS
from galshift.data.readers._arrays import ArrayData, array_info, describe_array, interpret_labels
from galshift.data.readers._base import Opened
from galshift.data.readers._file_rows import mapped_member, rows_of
from galshift.errors import DataError
from galshift.plain import one_line

_IMAGES = ("images", "image", "x", "data", "arr_0", "cutouts", "imgs")
_LABELS = ("labels", "label", "y", "targets", "classes", "ans", "arr_1")
_BANDS = ("filters", "bands", "channels")


@READERS.register("numpy")
def open_numpy(path: str | Path, options: ReadOptions) -> Opened:
    """Open ``.npy``/``.npz`` without ever unpickling; a plain ``.npy`` is mapped, not loaded.

    Raises
    ------
    DataError
        When an array is broken, holds Python objects, or is not of images.
    """
    first, *second = map(Path, split_pair(path))
    if second:
        labels = _load(second[0])
        return _open(first, {"images": _load(first), "labels": labels}, options)
    loaded = _load(first)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        return _open(first, {"images": loaded}, options)
    with loaded:
        try:
            _check_members(loaded, first)
            arrays = {n.lower(): _member(first, loaded, n) for n in loaded.files if _wanted(loaded, n)}
        except DataError:
            raise
        except Exception as error:
            if not _is_damage(error):
                raise
            raise _unreadable(first, error) from error
        return _open(first, arrays, options, tuple(loaded.files))


def _open(
    path: Path, arrays: dict[str, np.ndarray], options: ReadOptions, have: tuple[str, ...] = ()
) -> Opened:
    name = next((name for name in _IMAGES if name in arrays), None)
    if name is None:
        raise DataError(
            f"no array in it is called like images; it holds {', '.join(have) or 'nothing'}",
            where=path,
            hint="save the images as 'images' and their labels as 'labels'",
        )
    images = arrays[name]
    named = next((arrays[key] for key in _BANDS if key in arrays), None)
    bands = tuple(str(band) for band in np.atleast_1d(named)) if named is not None else None
    layout, n, shape, unit, scale = describe_array(
        images.shape, images.dtype, options, path, None if bands is None else len(bands)
    )
    labels, classes = interpret_labels(next((arrays[key] for key in _LABELS if key in arrays), None), n, path)
    stack = images if layout.startswith("N") else images[None]
    extras = {}
    for key, role in (("mask", "mask"), ("ivar", "ivar"), ("variance", "ivar"), ("var", "ivar")):
        if key in arrays and arrays[key].shape == images.shape:
            values = arrays[key] if layout.startswith("N") else arrays[key][None]
            extras[role] = _inverse(rows_of(values)) if key.startswith("var") else rows_of(values)
    bits, origins = declared_bits(
        options.mask_bits, "array 'mask'", arrays["mask"].dtype if "mask" in extras else None
    )
    info = array_info(
        "numpy",
        n,
        shape,
        unit,
        options,
        path,
        bands=bands,
        labels=labels,
        classes=classes,
        has_mask="mask" in extras,
        has_ivar="ivar" in extras,
        origins=origins,
        notes=(f"took the axes of {tuple(images.shape)} as {layout}",),
    )
    rows = rows_of(stack)
    if isinstance(images, np.memmap) and rows == stack.__getitem__:
        rows = partial(_mapped_rows, stack, path, path.stat().st_size)
    return ArrayData(path, info, rows, layout, scale, extras, bits)


def _mapped_rows(stack: np.ndarray, path: Path, n_bytes: int, rows: np.ndarray) -> np.ndarray:
    """Return rows of a mapped file, which ends the process where the file does not reach any more."""
    if plain_file(path, empty=True) < n_bytes:
        raise DataError("the file has become shorter since it was opened", where=path)
    return stack[rows]


def _inverse(rows: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Return what reads inverse variances where `rows` reads variances; 0 where none is known."""

    def read(wanted: np.ndarray) -> np.ndarray:
        values = rows(wanted)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, 1 / values, 0)

    return read


def _member(path: Path, loaded: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """Return an array of an ``.npz``: mapped where it is stored as it is, else unpacked into memory."""
    mapped = mapped_member(path, name)
    return loaded[name] if mapped is None else mapped


def _load(path: Path) -> np.ndarray:
    plain_file(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        if not _is_damage(error):
            raise
        raise _unreadable(path, error) from error


def _check_members(file: np.lib.npyio.NpzFile, path: Path) -> None:
    """Refuse members that unpack to too much, or whose headers claim more than they unpack to."""
    wanted = {name for name in file.files if _wanted(file, name)}
    for entry in file.zip.infolist():
        name = entry.filename.removesuffix(".npy")
        if name not in wanted:
            continue
        hint = "save it with numpy.savez, which does not compress"
        check_unpacked(entry.file_size, entry.compress_size, path, what=f"'{name}'", hint=hint)
        with file.zip.open(entry) as stream:
            version = np.lib.format.read_magic(stream)
            # Format 3 differs from 2 in the encoding of field names alone, which are not asked for.
            formats = np.lib.format
            read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
            shape, _, dtype = read(stream)
            claimed = math.prod(shape) * dtype.itemsize
            if not dtype.hasobject and claimed > entry.file_size:
                raise DataError(
                    f"'{name}' claims {size(claimed)} and has {size(entry.file_size)}", where=path
                )


def _is_damage(error: Exception) -> bool:
    """Return whether an error is about the file: zipfile and its kin raise classes of their own."""
    own = type(error).__module__ in ("zipfile", "zlib", "tokenize", "struct")
    return own or isinstance(
        error,
        OSError
        | ValueError
        | EOFError
        | KeyError
        | SyntaxError
        | TypeError
        | OverflowError
        | RuntimeError
        | IndexError
        | MemoryError,
    )


def _wanted(file: np.lib.npyio.NpzFile, name: str) -> bool:
    key = name.lower()
    return key in (*_IMAGES, *_LABELS, *_BANDS, "mask", "ivar", "variance", "var")


def _unreadable(path: Path, error: Exception) -> DataError:
    text = one_line(error, 200)
    with path.open("rb") as stream:
        begins_right = stream.read(6).startswith((b"\x93NUMPY", b"PK"))
    if not begins_right:
        hint = "save arrays with numpy.save or numpy.savez"
        return DataError("this is not a NumPy file", where=path, hint=hint)
    if "Python objects" in text or "Object arrays" in text or "pickle" in text.lower():
        what = "it holds Python objects, which galshift never loads"
        return DataError(what, where=path, hint="save plain arrays of numbers with numpy.save")
    return DataError(
        f"the array cannot be read: {text or type(error).__name__}", where=path, hint="is it whole?"
    )
