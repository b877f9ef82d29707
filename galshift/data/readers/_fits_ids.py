"""Extensions that are called by the names of galaxies: which names a catalogue has, and in which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def names_in(table: Any, id_column: str | None) -> frozenset[str]:
    """Return the entries of a catalogue's id column, or of every column with words or whole numbers."""
    folded = {name.casefold(): name for name in table.colnames}
    chosen = (
        [folded[id_column.casefold()]] if id_column and id_column.casefold() in folded else table.colnames
    )
    found: set[str] = set()
    for name in chosen:
        if table[name].ndim == 1 and table[name].dtype.kind in "USOiu":
            found.update(str(value).strip() for value in np.ma.filled(np.ma.asarray(table[name]), ""))
    return frozenset(found - {""})


def rows_by_name(table: Any, names: Sequence[str]) -> np.ndarray | None:
    """Return the row of each name, where one column has each of them once; else None."""
    for column in table.colnames:
        if table[column].ndim != 1 or table[column].dtype.kind not in "USOiu":
            continue
        values = [str(value).strip() for value in table[column]]
        row = {value: i for i, value in enumerate(values)}
        if len(row) == len(values) and set(names) <= set(row):
            return np.asarray([row[name] for name in names])
    return None
