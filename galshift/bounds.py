"""What a file may cost before it is read: plain files alone, and no more bytes than it can stand for.

A few kilobytes of gzip, a chunk of HDF5 or a tile of FITS can stand for gigabytes.  What is packed is
measured against its file first: above `MOST_UNPACKED` bytes, more than `MOST_TIMES` the file is taken for an
attack.  Blank masks pack a thousand to one, so that small ones pass whatever their ratio.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import zlib
from pathlib import Path
from typing import BinaryIO

from galshift.errors import DataError

MOST_UNPACKED = 100_000_000
MOST_TIMES = 200
#: What the decoders of packed streams raise.
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
_MAGIC = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
_NO_FILES = (
    (stat.S_ISDIR, "this is a folder"),
    (stat.S_ISFIFO, "this is a pipe, not a file"),
    (stat.S_ISSOCK, "this is a socket, not a file"),
    (stat.S_ISCHR, "this is a device, not a file"),
    (stat.S_ISBLK, "this is a device, not a file"),
)


def plain_file(path: str | Path, *, empty: bool = False) -> int:
    """Return the size of the file at `path`, which is opened only if it is one: a pipe would never end.

    Raises
    ------
    DataError
        When there is none, it may not be asked for, it is of another kind, or, unless `empty`, has no bytes.
    """
    path = Path(path)
    try:
        found = path.stat()
    except OSError as error:
        what = "there is no such file"
        if path.is_symlink():
            what = "this link leads nowhere"
        elif not isinstance(error, FileNotFoundError | NotADirectoryError):
            what = f"this file cannot be read: {error.strerror}"
        raise DataError(what, where=path) from None
    except ValueError:  # a name with a zero byte
        raise DataError("there is no such file", where=path) from None
    for is_kind, what in _NO_FILES:
        if is_kind(found.st_mode):
            raise DataError(what, where=path)
    if found.st_size == 0 and not empty:
        raise DataError("the file is empty", where=path, hint="was its download or copy interrupted?")
    return found.st_size


def check_unpacked(n_bytes: int, stored: int, where: object, *, what: str = "it", hint: str = "") -> None:
    """Refuse what would unpack to more bytes than its `stored` ones can stand for.

    Raises
    ------
    DataError
        With both limits.
    """
    if n_bytes > MOST_UNPACKED and n_bytes > MOST_TIMES * max(stored, 1):
        raise DataError(
            f"{what} would unpack to {size(n_bytes)} from {size(stored)}, and {MOST_TIMES} times is the "
            f"limit above {size(MOST_UNPACKED)}",
            where=where,
            hint=hint or "if it is right all the same, store it without compression",
        )


def stored_bytes(path: Path) -> int:
    """Return how many bytes of a file are no holes, which cost nothing to make and gigabytes to read."""
    with path.open("rb") as stream:
        n_bytes = os.fstat(stream.fileno()).st_size
        if not hasattr(os, "SEEK_HOLE"):
            return n_bytes
        found, place = 0, 0
        try:
            while place < n_bytes:
                start = os.lseek(stream.fileno(), place, os.SEEK_DATA)
                place = os.lseek(stream.fileno(), start, os.SEEK_HOLE)
                found += place - start
        except OSError as error:  # after the last data; a file system that cannot tell has no holes
            return found if error.errno == errno.ENXIO else n_bytes
    return found


def open_unpacked(path: Path) -> BinaryIO:
    """Open a file for reading bytes, unpacked as they are read where it is packed."""
    stream = path.open("rb")
    head = stream.read(6)
    opener = next((opener for magic, opener in _MAGIC if head.startswith(magic)), None)
    if opener is None:
        stream.seek(0)
        return stream
    stream.close()
    return opener(path, "rb")  # type: ignore[operator]


def size(n_bytes: float) -> str:
    """Return a number of bytes for people: ``512 bytes``, ``1.2 GB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{int(n_bytes)} bytes"
