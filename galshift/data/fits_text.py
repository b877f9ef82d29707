"""Text in FITS files, which hold ASCII alone: other signs are written as escapes, said so, and read back.

A column or a keyword with such signs holds Python's escapes (``\\xe9``, ``\\u03b1``; a backslash is doubled).
The header says which: ``ESCAPED`` lists the columns or keywords, and a comment tells people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.console import say

KEY = "ESCAPED"
_COMMENT = "ESCAPED names what is not ASCII and stands here in Python escapes: \\xe9, \\u03b1"


def needs_escape(texts: Sequence[str] | np.ndarray) -> bool:
    """Return whether FITS cannot hold one of some texts as it is."""
    return any(not (text.isascii() and text.isprintable()) for text in map(str, texts))


def escaped(text: str) -> str:
    """Return `text` in ASCII, each other sign as Python's escape."""
    return str(text).encode("unicode_escape").decode("ascii")


def unescaped(text: str) -> str:
    """Return what :func:`escaped` made `text` of; text that is no such is returned as it is."""
    try:
        return str(text).encode("ascii").decode("unicode_escape")
    except (UnicodeDecodeError, UnicodeEncodeError):
        return str(text)


def ascii_columns(columns: dict[str, Any], where: object = None) -> tuple[dict[str, Any], list[str]]:
    """Return columns that FITS can hold, and the names, as written, of those that hold escapes.

    Escapes are told on the terminal, once a table, where `where` names its file.
    """
    plain, changed = {}, []
    for name, values in columns.items():
        held = np.ma.asarray(values)
        written = escaped(name) if needs_escape([name]) else name
        if held.dtype.kind in "UO":
            texts = np.ma.filled(held, "").astype(str)
            if needs_escape(texts.ravel()):
                texts = np.asarray([escaped(text) for text in texts.ravel()], dtype=str).reshape(texts.shape)
                changed.append(written)
            values = texts
        plain[written] = values
    if where is not None:
        say_escapes(changed, where)
    return plain, changed


def say_escapes(names: Sequence[str], where: object) -> None:
    """Tell on the terminal which columns of the file `where` hold escapes; nothing where none does."""
    if names:
        say(
            f"{where}: FITS holds ASCII alone; other signs in {', '.join(names)} are written as escapes "
            "(\\u03b1), which galshift reads back (.csv and .parquet hold them as they are)"
        )


def note_escapes(header: Any, names: Sequence[str]) -> None:
    """Say in a header what holds escapes."""
    if names:
        header[KEY] = (",".join(names), "columns or keywords with escapes")
        header.add_comment(_COMMENT)


def restore(table: Any) -> Any:
    """Return a table read from FITS with the texts that its header says are escaped, in place."""
    named = str(table.meta.get(KEY, "") or "")
    for name in [word.strip() for word in named.split(",") if word.strip()]:
        if name in table.colnames and table[name].dtype.kind in "US":
            texts = [unescaped(text) for text in np.ma.filled(np.ma.asarray(table[name]), "").astype(str)]
            table[name] = np.asarray(texts, dtype=str)
    for name in table.colnames if named else ():
        if "\\" in name:
            table.rename_column(name, unescaped(name))
    return table
