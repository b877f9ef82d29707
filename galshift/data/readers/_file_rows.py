"""Rows of an array that lies plain in a file, read and not mapped: mapped pages count as memory taken."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from galshift.errors import DataError

_PIECE = 1 << 20


def rows_of(array: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what reads rows of an array (N, ...), in the order wanted; of a mapped one from its file.

    What is returned raises DataError where the file has become shorter since it was opened.
    """
    plain = isinstance(array, np.memmap) and array.flags.c_contiguous and array.ndim > 0
    if not plain or getattr(array, "filename", None) is None:
        return array.__getitem__
    path, offset, dtype, shape = Path(array.filename), array.offset, array.dtype, array.shape
    count = int(np.prod(shape[1:]))

    def read(rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *shape[1:]), dtype)
        # Neighbours are read together.
        ends = np.flatnonzero(np.diff(rows) != 1) + 1
        starts = np.concatenate([[0], ends]) if len(rows) else ends
        with path.open("rb") as stream:
            for start, stop in zip(starts, [*ends, len(rows)]):
                stream.seek(offset + int(rows[start]) * count * dtype.itemsize)
                values = np.fromfile(stream, dtype, (stop - start) * count)
                if len(values) < (stop - start) * count:
                    raise DataError("the file has become shorter since it was opened", where=path)
                found[start:stop] = values.reshape(stop - start, *shape[1:])
        return found

    return read


def mapped_member(path: Path, name: str) -> np.ndarray | None:
    """Return an array of an ``.npz`` that is stored as it is, mapped; None where it is compressed.

    Its checksum is verified, which reads it once.

    Raises
    ------
    zipfile.BadZipFile, ValueError
        When it is damaged, or holds Python objects.
    """
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        with archive.open(info) as member:
            major, _ = np.lib.format.read_magic(member)
            header = (
                np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = header(member)
            inside = member.tell()
            while member.read(_PIECE):
                pass
    if fortran or dtype.hasobject or not shape or 0 in shape:
        return None
    with path.open("rb") as stream:
        stream.seek(info.header_offset + 26)
        lengths = np.frombuffer(stream.read(4), "<u2")
    start = info.header_offset + 30 + int(lengths.sum()) + inside
    return np.memmap(path, dtype, "r", start, shape)
