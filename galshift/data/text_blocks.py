"""A table in text read some thousand lines at a time: astropy makes several Python texts of every cell.

Every block goes through astropy's own reader, so that a cell means what it means in the whole file.  Where
blocks do not agree, as of a column that is whole numbers here and words there, the caller reads the file in
one piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 2048  # lines


def read_blocks(path: Path, separator: str, encoding: str) -> Any:
    """Return a table with a header and a separator as an astropy Table, as of a reading in one piece.

    Returns
    -------
    table : Table or None
        None where the file has but one block, or its blocks do not make one table.
    """
    try:
        with path.open(encoding=encoding) as stream:
            n = sum(len(lines) for lines in _blocks(stream)) - 1
            if n <= BLOCK:
                return None
            stream.seek(0)
            header = next(line for line in stream if line.strip())
            return None if len(header.splitlines()) != 1 else _joined(header, _blocks(stream), separator, n)
    except UnicodeDecodeError:  # the reading in one piece says where
        return None


def _blocks(stream: Iterator[str]) -> Iterator[list[str]]:
    while text := "".join(islice(stream, BLOCK)):
        yield [line for line in text.splitlines() if line.strip()]


def _joined(header: str, blocks: Iterator[list[str]], separator: str, n: int) -> Any:
    """Return the rows of all blocks, `n` together, as one table; None where they do not make one."""
    from astropy.table import Table

    columns: dict[str, _Column] = {}
    start, meta = 0, None
    for lines in blocks:
        found = _read(header, lines, separator)
        if found is None or (columns and list(columns) != found.colnames):
            return None
        meta = found.meta if meta is None else meta
        for name in found.colnames:
            column = columns.setdefault(name, _Column(n))
            if not column.put(start, np.ma.asarray(found[name])[:-1]):
                return None
        start += len(lines)
    return Table({name: column.values for name, column in columns.items()}, copy=False, meta=meta)


class _Column:
    """Room for `n` values, as wide as the longest text so far."""

    def __init__(self, n: int) -> None:
        self._n, self._held, self._mask = n, None, None

    def put(self, start: int, values: np.ma.MaskedArray) -> bool:
        """Take some values in; False where they are of another kind than those before."""
        if self._held is None:
            self._held = np.empty(self._n, values.dtype)
        if values.dtype.kind != self._held.dtype.kind:
            return False
        if values.dtype.itemsize > self._held.dtype.itemsize:
            wider = np.empty(self._n, values.dtype)
            wider[:start] = self._held[:start]
            self._held = wider
        stop = start + len(values)
        self._held[start:stop] = values.data
        if np.ma.is_masked(values):
            self._mask = np.zeros(self._n, dtype=bool) if self._mask is None else self._mask
            self._mask[start:stop] = np.ma.getmaskarray(values)
        return True

    @property
    def values(self) -> np.ndarray:
        """All of them, masked where one is."""
        return self._held if self._mask is None else np.ma.array(self._held, mask=self._mask, copy=False)


def _read(header: str, lines: list[str], separator: str) -> Any:
    """Return the table of some lines and one more; None where a line is no row of its own."""
    from astropy.io import ascii

    # A quoted cell that is not closed takes the last line, which is none of the file's, into itself.
    last = separator.join("0" * (header.count(separator) + 1))
    reader = ascii.get_reader(reader_cls=ascii.Csv, delimiter=separator, fill_values=[("", "0")])
    try:
        found = reader.read([header, *lines, last])
    except Exception:  # the reading in one piece says what is wrong
        return None
    # The reader's parts hold one another, and all cells as Python texts, until Python looks for such circles.
    for column in reader.cols:
        column.str_vals, column.data = [], None
    reader.lines, reader.data.data_lines = [], []
    return found if len(found) == len(lines) + 1 else None
