"""Text in FITS files, which hold ASCII alone: other signs are written as escapes, said so, and read back.

A column or a keyword with such signs holds Python's escapes (``\\xe9``, ``\\u03b1``; a backslash is doubled).
The header says which: ``ESCAPED`` lists the columns or keywords, and a comment tells people.  A column whose
name no card can hold is called ``column<number>``, and ``LNAME<number>`` has its name, in escapes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from galshift.console import say

KEY = "ESCAPED"
_LONG_NAME, _LONGEST_NAME = "LNAME", 68
_COMMENT = "ESCAPED names what is not ASCII and stands here in Python escapes: \\xe9, \\u03b1"


def needs_escape(texts: Sequence[str] | np.ndarray) -> bool:
    """Return whether FITS cannot hold one of some texts as it is."""
    # Spaces at an end are filling to FITS.
    return any(
        not (text.isascii() and text.isprintable()) or text[:1] == " " or text[-1:] == " "
        for text in map(str, texts)
    )


def escaped(text: str) -> str:
    """Return `text` in ASCII, each other sign and spaces at its ends as Python's escape."""
    middle = str(text).strip(" ")
    if not middle:
        return "\\x20" * len(text)
    before, after = str(text).split(middle, 1)[0], len(text) - len(text.rstrip(" "))
    escape = middle.encode("unicode_escape").decode("ascii")
    return "\\x20" * len(before) + escape + "\\x20" * after


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


def column_names(names: Sequence[str], changed: Collection[str] = ()) -> dict[str, str]:
    """Return what each column is called in a FITS file; those of `changed` have texts in escapes.

    FITS does not tell capitals from small letters, and a name must fit into one card.
    """
    taken: set[str] = set()
    found: dict[str, str] = {}
    for number, name in enumerate(names, start=1):
        # Beside texts in escapes a backslash is taken for one.
        written = escaped(name) if needs_escape([name]) or (changed and "\\" in name) else name
        too_long = len(written) + written.count("'") > _LONGEST_NAME
        listed = "," in written and name in changed
        if not written or too_long or listed or written.casefold() in taken:
            written = f"column{number}"
            while written.casefold() in taken:
                written += "_"
        taken.add(written.casefold())
        found[name] = written
    return found


def note_names(header: Any, written: Mapping[str, str], changed: Collection[str] = ()) -> None:
    """Say in a header what columns are called whose names it cannot hold, or only as escapes."""
    for number, (name, short) in enumerate(written.items(), start=1):
        # Where texts are in escapes, readers take names for escapes too.
        if short != name and (short != escaped(name) or not changed):
            header[f"{_LONG_NAME}{number}"] = (escaped(name), "")


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
    long = {}
    for number, name in enumerate(table.colnames, start=1):
        text = table.meta.pop(f"{_LONG_NAME}{number}", None)
        if isinstance(text, str) and text.isascii():
            long[name] = unescaped(text)
    for name in table.colnames:
        if name in long:
            table.rename_column(name, long[name])
        elif named and "\\" in name:
            table.rename_column(name, unescaped(name))
    return table


def history_cards(text: str, width: int = 70) -> list[str]:
    """Return `text` in pieces of at most `width` letters for HISTORY cards, none of which ends in a space.

    FITS takes spaces at the end of a card for padding, and words on both sides would be joined.
    """
    found, start = [], 0
    while start < len(text):
        stop = min(start + width, len(text))
        piece = text[start:stop].rstrip(" ") if stop < len(text) else text[start:stop]
        piece = piece or text[start:stop]  # nothing but spaces: these cannot be saved
        found.append(piece)
        start += len(piece)
    return found
