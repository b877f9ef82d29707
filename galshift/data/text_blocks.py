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

BLOCK = 4096  # lines


def read_blocks(path: Path, separator: str, encoding: str) -> Any:
    """Return a table with a header and a separator as an astropy Table, as of a reading in one piece.

    Returns
    -------
    table : Table or None
        None where the file has but one block, or its blocks do not make one table.
    """
    blocks: list[Any] = []
    try:
        with path.open(encoding=encoding) as stream:
            header = next((line for line in stream if line.strip()), "")
            if len(header.splitlines()) != 1:
                return None
            for lines in _blocks(stream):
                found = _read(header, lines, separator)
                if found is None or (blocks and _kinds(found) != _kinds(blocks[0])):
                    return None
                blocks.append(found)
    except UnicodeDecodeError:  # the reading in one piece says where
        return None
    return _joined(blocks) if len(blocks) > 1 else None


def _blocks(stream: Iterator[str]) -> Iterator[list[str]]:
    while text := "".join(islice(stream, BLOCK)):
        yield [line for line in text.splitlines() if line.strip()]


def _read(header: str, lines: list[str], separator: str) -> Any:
    """Return the table of some lines; None where a line is no row of its own."""
    from astropy.table import Table

    # A quoted cell that is not closed takes the last line, which is none of the file's, into itself.
    last = separator.join("0" * (header.count(separator) + 1))
    options = {"format": "ascii.csv", "delimiter": separator, "guess": False, "fast_reader": False}
    try:
        found = Table.read([header, *lines, last], **options)
    except Exception:  # the reading in one piece says what is wrong
        return None
    return found[:-1].copy() if len(found) == len(lines) + 1 else None


def _kinds(table: Any) -> list[tuple[str, str]]:
    return [(name, table[name].dtype.kind) for name in table.colnames]


def _joined(blocks: list[Any]) -> Any:
    """Return the rows of all blocks as one table; each block is emptied column by column."""
    from astropy.table import Table

    columns = {}
    for name in blocks[0].colnames:
        parts = [np.ma.asarray(block[name]) for block in blocks]
        is_masked = any(np.ma.is_masked(part) for part in parts)
        columns[name] = np.ma.concatenate(parts) if is_masked else np.concatenate([p.data for p in parts])
        for block in blocks:
            if len(block.colnames) > 1:
                block.remove_column(name)
    return Table(columns, copy=False, meta=blocks[0].meta)
