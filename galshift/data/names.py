"""Names that no product can hold are refused when data are opened: before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galshift.data.cutouts import DataInfo
from galshift.errors import DataError

_ROWS = 4096


def check_names(info: DataInfo, where: object) -> None:
    """Refuse what cannot be written and read back; every other name is taken as it is, sign by sign.

    Raises
    ------
    DataError
        When the name of an image, a galaxy, a class or a band holds the sign NUL or bytes that are no text,
        a class or a band has no name, or two have the same.
    """
    for kind, names in (("class", info.classes), ("band", info.bands)):
        _check_few(kind, names, where)
    for kind, names in (("image", info.ids), ("group", info.groups)):
        row = _unwritable(np.asarray(names))
        if row is not None:
            raise _refused(kind, str(names[row]), where, f" (row {row})")
        if names is info.ids and info.groups is info.ids:
            break


def _check_few(kind: str, names: Sequence[str], where: object) -> None:
    for number, name in enumerate(names):
        if not str(name):
            raise DataError(f"{kind} {number} has no name", where=where, hint=f"give every {kind} a name")
        if any(_is_bad(ord(sign)) for sign in str(name)):
            raise _refused(kind, str(name), where)
    for name in names:
        if list(names).count(name) > 1:
            raise DataError(
                f"two of its {len(names)} {'classes' if kind == 'class' else 'bands'} are called {name!r}",
                where=where,
                hint="give each a name of its own",
            )


def _is_bad(code: int) -> bool:
    return code == 0 or 0xD800 <= code <= 0xDFFF


def _refused(kind: str, name: str, where: object, place: str = "") -> DataError:
    what = "the sign NUL" if "\0" in name else "bytes that are no text"
    return DataError(
        f"the name of a{'n' if kind == 'image' else ''} {kind} holds {what}: {ascii(name)[:80]}{place}",
        where=where,
        hint="no table or file can hold it: rename it",
    )


def _unwritable(names: np.ndarray) -> int | None:
    """Return the first row of (N,) texts that cannot be written, or None."""
    if names.dtype.kind != "U" or not names.size:
        return None
    for start in range(0, len(names), _ROWS):
        rows = np.ascontiguousarray(names[start : start + _ROWS])
        signs = rows.view(np.uint32).reshape(len(rows), -1)
        # NULs fill a text up at its end; one before another sign is its own.
        inside = (signs[:, :-1] == 0) & (signs[:, 1:] != 0)
        bad = inside.any(axis=1) | ((signs >= 0xD800) & (signs <= 0xDFFF)).any(axis=1)
        if bad.any():
            return start + int(np.argmax(bad))
    return None
