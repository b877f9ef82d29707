"""Tables in text as people write them: other separators than commas, decimal commas, commented headers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.text_blocks import read_blocks
from galshift.errors import DataError

_SEPARATORS = (",", ";", "\t", "|")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_NAME = re.compile(r"[^\W\d][\w.:/-]*")
# What ends a line to Python, and the code points that are no characters, which stand in for it meanwhile.
_BREAKS, _STOOD_IN = re.compile(r"[\n\v\f\r\x1c-\x1e]"), re.compile(r"[\ufdda-\ufdee]")
_LINES = 64
MAX_COLUMNS = 10_000
_BYTES = 1 << 18


def read_text(path: Path) -> Any:
    """Return a table in text as an astropy Table.

    The separator is the one of comma, semicolon, tab and bar that splits the first lines alike; where none
    does, astropy guesses.  A header may stand in a comment (``# id,class``), comments may stand above it, and
    in a table with semicolons numbers may have decimal commas.

    Raises
    ------
    DataError
        When it is not text, or holds no row.
    """
    from astropy.table import Table

    is_csv = path.name.lower().endswith((".csv", ".tsv"))
    encoding, lines = _beginning(path)
    comments, first = _split(lines)
    if is_csv and not comments and _breaks_in_quotes(path):
        return _with_breaks(path, encoding)
    _check_columns(lines[first : first + 1], path)
    separator = _separator(lines[first : first + _LINES], _SEPARATORS if is_csv else _SEPARATORS[:3])
    if separator is None:
        kind = "ascii.csv" if is_csv and not comments else "ascii"
        return Table.read(path, format=kind, encoding=encoding)
    if not comments and (is_csv or not _breaks_in_quotes(path)):
        found = read_blocks(path, separator, encoding)
        if found is not None:
            return _with_numbers(found, commas=separator == ";")
    source: Any = path
    if comments:
        every = path.read_text(encoding=encoding).splitlines()
        source = _named(every[_split(every)[1] :], comments, separator)
    table = Table.read(source, format="ascii.csv", delimiter=separator, encoding=encoding)
    return _with_numbers(table, commas=separator == ";")


def _breaks_in_quotes(path: Path) -> bool:
    """Return whether a quoted text of the file goes over the end of a line."""
    with path.open("rb") as stream:
        return any(
            b'"' in line and (line.count(b'"') % 2 or b"\r" in line.rstrip(b"\r\n")) for line in stream
        )


def _with_breaks(path: Path, encoding: str) -> Any:
    """Return a CSV file as a table whose texts have line breaks, which astropy's readers do not know."""
    from astropy.table import Table

    with path.open(encoding=encoding, newline="") as stream:
        try:
            rows = [[_BREAKS.sub(_stand_in, cell) for cell in row] for row in csv.reader(stream) if row]
        except csv.Error as error:
            raise DataError(f"the catalogue cannot be read: {error}", where=path) from error
    check_columns(len(rows[0]) if rows else 0, path)
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    table = Table.read(lines.getvalue().splitlines(), format="ascii.csv")
    for name in table.colnames:
        if table[name].dtype.kind == "U":
            texts = [_STOOD_IN.sub(_break, text) for text in np.ma.filled(np.ma.asarray(table[name]), "")]
            table[name] = np.asarray(texts, dtype=str)
        if _STOOD_IN.search(name):
            table.rename_column(name, _STOOD_IN.sub(_break, name))
    return table


def _stand_in(found: re.Match[str]) -> str:
    return chr(0xFDD0 + ord(found[0]))


def _break(found: re.Match[str]) -> str:
    return chr(ord(found[0]) - 0xFDD0)


def check_columns(n: int, where: Path) -> None:
    """Refuse a catalogue that is wider than any: a table takes 0.1 ms and a kilobyte for each column.

    Raises
    ------
    DataError
        Where it has more than `MAX_COLUMNS`.
    """
    if n > MAX_COLUMNS:
        raise DataError(
            f"the catalogue has more than {MAX_COLUMNS:,} columns",
            where=where,
            hint="is it written sideways? a row is one galaxy; leave out the columns that are not needed",
        )


def _check_columns(header: list[str], path: Path) -> None:
    line = re.sub(r'"[^"]*"', "", header[0]) if header else ""
    check_columns(max(line.count(separator) for separator in (*_SEPARATORS, " ")) + 1, path)


def _beginning(path: Path) -> tuple[str, list[str]]:
    """Return a file's encoding and its first lines, all whole."""
    with path.open("rb") as stream:
        head = stream.read(_BYTES)
        whole = not stream.read(1)
    if b"\0" in head:
        raise DataError("the catalogue is not text", where=path, hint="CSV, ECSV, FITS, VOTable or parquet")
    head = head if whole else head[: head.rfind(b"\n") + 1] or head
    try:
        return "utf-8-sig", head.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return "latin-1", head.decode("latin-1").splitlines()


def _split(lines: list[str]) -> tuple[list[str], int]:
    """Return the comments at the top, and the number of the first line below them."""
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    return [line for line in lines[:first] if line.startswith("#")], first


def _separator(lines: list[str], separators: tuple[str, ...]) -> str | None:
    """The separator that splits every line into as many parts, more than one; the most parts win."""
    bare = [re.sub(r'"[^"]*"', '""', line) for line in lines if line.strip() and not line.startswith("#")]
    best: tuple[int, str | None] = (0, None)
    for separator in separators:
        counts = {line.count(separator) for line in bare}
        # A decimal comma stands in most lines, but not in the header.
        if len(counts) == 1 and (count := counts.pop()) > best[0]:
            best = count, separator
    if best[1] is None and bare:
        head = bare[0]
        found = [separator for separator in separators if separator in head]
        return found[0] if len(found) == 1 else None
    return best[1]


def _named(rows: list[str], comments: list[str], separator: str) -> list[str]:
    """Return the rows of a table below its header, which may be the last of the comments above them."""
    if not rows or not comments:
        return rows
    words = [word.strip().strip('"') for word in comments[-1].lstrip("#").split(separator)]
    cells = [word.strip().strip('"') for word in re.sub(r'"[^"]*"', "text", rows[0]).split(separator)]
    are_names = len(words) == len(cells) and all(_NAME.fullmatch(word) for word in words)
    has_header = all(_NAME.fullmatch(cell) for cell in cells) and not _like_rows(rows, cells, separator)
    return [separator.join(words), *rows] if are_names and not has_header else rows


def _like_rows(rows: list[str], cells: list[str], separator: str) -> bool:
    """Return whether a first line of words looks like the rows below it: they repeat its words."""
    below = [row.split(separator) for row in rows[1:_LINES]]
    return any(
        cell in {row[k].strip().strip('"') for row in below if k < len(row)} for k, cell in enumerate(cells)
    )


def _with_numbers(table: Any, commas: bool) -> Any:
    """Return a table whose columns of per cent, or with `commas` of decimal commas, are numbers."""
    for name in table.colnames:
        if table[name].dtype.kind != "U":
            continue
        held = np.ma.filled(np.ma.asarray(table[name]), "")
        first = next(_known(held), "")
        per_cent = first.endswith("%") and all(word.endswith("%") for word in _known(held))
        if not per_cent and not (commas and any("," in word for word in _known(held))):
            continue
        words = [word.rstrip("% ") for word in _words(held)]
        if all(
            _NUMBER.fullmatch(word) or (commas and _DECIMAL_COMMA.fullmatch(word)) for word in words if word
        ):
            table[name] = [float(word.replace(",", ".")) if word else np.nan for word in words]
    return table


def _words(held: np.ndarray) -> Iterator[str]:
    return (str(word).strip() for word in held)


def _known(held: np.ndarray) -> Iterator[str]:
    return (word for word in _words(held) if word)
