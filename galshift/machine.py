"""The machine's faults, told apart from galshift's own: a full disk is nobody's bug.

`machine_fault` takes an exception as a library raised it and returns the error to show: exit 6 for what the
machine could not do (write, lock, allocate), exit 4 for a file of the user's that may not be read.  Besides
``OSError`` it knows how HDF5, safetensors and torch pass an ``errno`` on in words.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from galshift.errors import DataError, GalshiftError, ResourceError

#: errno to what is wrong and what to do about it.
FAULTS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("there is no space left on this disk", "make room, then repeat the command"),
    errno.EDQUOT: ("your disk quota is used up", "make room, then repeat the command"),
    errno.EFBIG: ("the file system takes no file of this size", "write to another place"),
    errno.EROFS: ("this file system is read-only", "write to another place"),
    errno.EACCES: ("this may not be written", "check its permissions, or write to another place"),
    errno.EPERM: ("this may not be written", "check its permissions, or write to another place"),
    errno.ENOLCK: ("this file system has no locks", "write to another place"),
    errno.EMFILE: ("too many files are open", "raise the limit (ulimit -n), or use fewer workers"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs, then repeat"),
    errno.ENOMEM: ("there is not enough memory", "close other programs, or use fewer workers"),
    errno.EIO: ("the disk does not answer (input/output error)", "check the disk, then repeat the command"),
    errno.ESTALE: ("the network file system has lost this file", "repeat the command"),
    errno.ETIMEDOUT: ("the file system does not answer", "repeat the command"),
    errno.EPIPE: ("what this was written to has closed", "repeat the command, and let it read to the end"),
    errno.ENAMETOOLONG: ("this name is too long for the file system", "choose a shorter name"),
}
# As HDF5 writes it ("errno = 28, error message = ..."), and Rust ("(os error 28)").
_IN_WORDS = re.compile(r"errno\s*=\s*(\d+)|\(os error (\d+)\)")
# Writers that keep no errno: torch's archives, astropy's FITS, numpy's arrays.
_WRITERS = re.compile(
    r"PytorchStreamWriter failed|unexpected pos \d+ vs|file write failed|Not enough space on disk"
    r"|\d+ requested and \d+ written",
    re.IGNORECASE,
)
_MEMORY = re.compile(r"can't allocate memory|out of memory|Unable to allocate|std::bad_alloc", re.IGNORECASE)


def machine_fault(error: BaseException) -> GalshiftError | None:
    """Return the error to show for a fault of the machine's, or None for anything else.

    The causes of `error` are looked through too, the outermost first.
    """
    for one in _chain(error):
        if isinstance(one, GalshiftError):
            return one if isinstance(one, ResourceError) else None
        if isinstance(one, MemoryError) or (isinstance(one, RuntimeError) and _MEMORY.search(str(one))):
            return _fault(errno.ENOMEM, None)
        number = _number(one)
        if number in FAULTS:
            return _fault(number, _place(one))
        if _WRITERS.search(str(one)):
            return ResourceError(
                "a file could not be written to its end",
                where=_place(one),
                hint="is the disk full? make room, then repeat the command",
            )
    return None


def _fault(number: int, place: str | None) -> GalshiftError:
    denied = number in (errno.EACCES, errno.EPERM)
    if denied and place and os.path.exists(place) and not os.access(place, os.R_OK):
        return DataError("this file may not be read", where=place, hint="check its permissions")
    what, hint = FAULTS[number]
    return ResourceError(what, where=place, hint=hint)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _IN_WORDS.search(str(error))
    return int(found.group(1) or found.group(2)) if found else None


def _place(error: BaseException) -> str | None:
    """The file that `error` names: that of its final name where it was written under a temporary one."""
    name = getattr(error, "filename", None)
    if name is None:
        found = re.search(r"name = '([^']+)'", str(error))
        name = found.group(1) if found else None
    if name is None or isinstance(name, int):
        return None
    folder, base = os.path.split(os.fsdecode(name))
    hidden = re.fullmatch(r"\.(.+)\.\d+\.part(\..+)?", base)
    return os.path.join(folder, hidden.group(1) + (hidden.group(2) or "") if hidden else base)
