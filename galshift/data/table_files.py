"""Write tables block by block, so that a file takes the memory of a few thousand rows whatever its length."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.fits_text import (
    column_names,
    escaped,
    history_cards,
    needs_escape,
    note_escapes,
    note_names,
    say_escapes,
)

if TYPE_CHECKING:
    from astropy.table import Table

BLOCK = 4096  # rows
_GROUP = 1 << 16  # rows of one group of a Parquet file


def write_csv(path: Path, table: Table) -> None:
    """Write a table as CSV, its texts as they are."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        names = io.StringIO()
        csv.writer(names, lineterminator="\n").writerow([_hidden(name) for name in table.colnames])
        stream.write(_shown(names.getvalue()))
        head = _csv(table[:0])
        for rows in _blocks(len(table), BLOCK):
            stream.write(_shown(_csv(_hidden_texts(table[rows]))[len(head) :]))


def _csv(table: Table) -> str:
    text = io.StringIO()
    table.write(text, format="ascii.csv", strip_whitespace=False)
    return text.getvalue()


# Python's csv module puts text with a line feed into quotes, but not one with a carriage return alone.
_CR, _HIDDEN_CR = "\r", "\n\ufddd"


def _hidden(text: str) -> str:
    return text.replace(_CR, _HIDDEN_CR)


def _shown(text: str) -> str:
    return text.replace(_HIDDEN_CR, _CR)


def _hidden_texts(table: Table) -> Table:
    for name in table.colnames:
        if table[name].dtype.kind == "U" and any(_CR in text for text in _texts(table[name]).ravel()):
            values = np.asarray([_hidden(text) for text in _texts(table[name]).ravel()])
            table[name] = np.ma.array(values.reshape(table[name].shape), mask=np.ma.getmaskarray(table[name]))
    return table


def write_parquet(path: Path, table: Table, metadata: Mapping[str, str]) -> None:
    """Write a table as Parquet, with `metadata` in its schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # What a column of Python objects is, is known from all of them alone.
    size = len(table) if any(table[name].dtype.kind == "O" for name in table.colnames) else _GROUP
    writer = None
    try:
        for rows in _blocks(len(table), max(size, 1)):
            arrow = pa.table({name: _arrow(table[name][rows]) for name in table.colnames})
            arrow = arrow.replace_schema_metadata(dict(metadata))
            writer = writer or pq.ParquetWriter(path, arrow.schema)
            writer.write_table(arrow, row_group_size=_GROUP)
    finally:
        if writer is not None:
            writer.close()


def _arrow(values: Any) -> Any:
    import pyarrow as pa

    column = np.ma.asarray(values)
    mask = np.ma.getmaskarray(column)
    flat = column.data.tolist() if column.ndim > 1 else column.data
    return pa.array(flat, mask=None if column.ndim > 1 or not mask.any() else mask)


def write_fits(path: Path, table: Table, name: str, history: str, final: Path) -> None:
    """Write a table as the first extension of a FITS file.

    Parameters
    ----------
    path : Path
        Gzipped where it ends in ``.gz``.
    table : Table
    name : str
        Of the extension.
    history : str
        Goes into HISTORY cards.
    final : Path
        What the file will be called, for the sentence that tells of escapes.
    """
    from astropy.io import fits

    block = _blocks_of(table, name, history, final)
    n = len(table)
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "wb") as stream, _quiet():
        first = block(slice(0, min(n, BLOCK)))
        width = int(first.header["NAXIS1"])
        data = _bytes(first, width)
        header = first.header.copy()
        header["NAXIS2"] = n
        stream.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
        stream.write(header.tostring().encode("ascii"))
        stream.write(data)
        for start in range(BLOCK, n, BLOCK):
            stream.write(_bytes(block(slice(start, min(n, start + BLOCK))), width))
        stream.write(b"\0" * (-n * width % 2880))


def table_hdu(table: Table, name: str, final: Path) -> Any:
    """Return a whole table as an extension, with names and texts as FITS can hold them."""
    with _quiet():
        return _blocks_of(table, name, "", final)(slice(0, len(table)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Pass over what astropy says of names that are not of letters alone, or longer than a card's comment."""
    from astropy.io.fits.verify import VerifyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)
        yield


def _blocks_of(table: Table, name: str, history: str, final: Path) -> Callable[[slice], Any]:
    """Return what makes the extension of some rows: all are alike but for their length."""
    from astropy.io import fits

    texts = {column: kind for column in table.colnames if (kind := _text_of(table[column])) is not None}
    in_escapes = [column for column, (is_escaped, _) in texts.items() if is_escaped]
    names = column_names(table.colnames, in_escapes)
    changed = [names[column] for column in in_escapes]
    say_escapes(changed, final)
    # JSON is ASCII already; an escape of its escapes would no longer be it.
    lines = history_cards(escaped(history) if needs_escape([history]) else history)

    def block(rows: slice) -> Any:
        hdu = fits.table_to_hdu(_plain(table, rows, texts, names))
        hdu.name = name
        note_escapes(hdu.header, changed)
        note_names(hdu.header, names, changed)
        for line in lines:
            hdu.header.add_history(line)
        return hdu

    return block


def _bytes(hdu: Any, width: int) -> bytes:
    """Return the rows of a binary table as they stand in a file."""
    from astropy.io import fits

    written = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(written)
    rows = int(hdu.header["NAXIS2"])
    start = len(fits.PrimaryHDU().header.tostring()) + len(hdu.header.tostring())
    found = written.getvalue()[start : start + rows * width]
    if len(found) != rows * width:
        raise ValueError(f"{len(found)} bytes of {rows} rows of {width}")
    return found


def _text_of(column: Any) -> tuple[bool, int] | None:
    """Return of a column of text whether it needs escapes, and its longest text as written; else None."""
    if np.ma.asarray(column[:0]).dtype.kind not in "UO":
        return None
    is_escaped, width, longest = False, 1, 1
    for rows in _blocks(len(column), BLOCK):
        texts = _texts(column[rows]).ravel()
        is_escaped = is_escaped or needs_escape(texts)
        width = max(width, texts.dtype.itemsize // 4)
        longest = max(longest, max((len(escaped(text)) for text in texts), default=1) if is_escaped else 1)
    if not is_escaped:
        return False, width
    # Blocks before the first that needs escapes are shorter as they are than with a backslash doubled.
    for rows in _blocks(len(column), BLOCK):
        longest = max([longest, *(len(escaped(text)) for text in _texts(column[rows]).ravel())])
    return True, longest


def _plain(
    table: Table, rows: slice, texts: Mapping[str, tuple[bool, int]], names: Mapping[str, str]
) -> Table:
    """Return some rows as columns that FITS can hold."""
    from astropy.table import Table

    columns: dict[str, Any] = {}
    for name in table.colnames:
        values = table[name][rows]
        if name in texts:
            is_escaped, width = texts[name]
            held = _texts(values)
            flat = [escaped(text) for text in held.ravel()] if is_escaped else held.ravel()
            values = np.asarray(flat, dtype=f"U{width}").reshape(held.shape)
        columns[names[name]] = values
    return Table(columns)


def _texts(values: Any) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(values), "").astype(str)


def _blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover `n` rows; one that is empty where there are none."""
    for start in range(0, max(n, 1), size):
        yield slice(start, min(n, start + size))
