"""Catalogues as astropy Tables: CSV (with any separator), ECSV, FITS, VOTable and parquet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from galshift.bounds import check_unpacked, plain_file
from galshift.data.compact import Texts
from galshift.data.fits_text import restore
from galshift.data.table_bounds import check_fits_table, check_text, check_votable
from galshift.data.text_tables import check_columns, read_text
from galshift.errors import DataError, did_you_mean
from galshift.plain import one_line

_FORMATS = {
    ".ecsv": "ascii.ecsv",
    ".vot": "votable",
    ".xml": "votable",
    ".parquet": "parquet",
}


def read_table(path: Path) -> Any:
    """Return a catalogue as an astropy Table: CSV, ECSV, FITS, VOTable or parquet (extra ``parquet``).

    Raises
    ------
    DataError
        When it cannot be read.
    """
    if not path.exists():
        raise DataError("there is no such catalogue", where=path)
    name = path.name.lower()
    kind = next((_FORMATS[suffix] for suffix in _FORMATS if name.endswith(suffix)), None)
    if kind is None:
        kind = "fits" if ".fit" in name else "text"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = _read(path, kind)
    except ImportError as error:
        raise DataError(
            "reading parquet needs pyarrow", where=path, hint="pip install 'galshift[parquet]'"
        ) from error
    except DataError:
        raise
    except Exception as error:  # every format's parser has its own exceptions
        text = one_line(error, 200)
        raise DataError(
            f"the catalogue cannot be read: {text or type(error).__name__}", where=path
        ) from error
    for column in table.colnames:
        if table[column].dtype.kind == "S":
            table[column] = np.char.strip(
                np.char.decode(np.ma.filled(table[column], b""), "utf-8", "replace")
            )
    return restore(table) if kind == "fits" else table


def _read(path: Path, kind: str) -> Any:
    from astropy.table import Table

    if kind == "fits":
        check_fits_table(path)
    elif kind == "votable":
        check_votable(path)
    elif kind != "parquet":
        check_text(path)
    if kind == "text":
        return read_text(path)
    if kind == "ascii.ecsv":
        with path.open("rb") as stream:
            check_columns(sum(line.startswith(b"# - {name:") for line in _head(stream)), path)
    return _read_parquet(path) if kind == "parquet" else Table.read(path, format=kind)


def _head(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the comments at the top of a file."""
    return takewhile(lambda line: line.startswith(b"#"), stream)


def _read_parquet(path: Path) -> Any:
    """Return a parquet file as a Table by pyarrow alone; missing text is empty, missing numbers are NaN.

    Whole numbers stay whole: where some are missing the column is masked, for a float would lose the last
    digits of long ids.
    """
    import pyarrow as arrow
    import pyarrow.parquet as parquet
    from astropy.table import MaskedColumn, Table

    n_bytes = plain_file(path)
    # By the footer alone: runs of one value pack without limit.
    with parquet.ParquetFile(path) as file:
        found = file.metadata
        check_columns(len(file.schema_arrow.names), path)
        claimed = max(
            8 * found.num_rows * found.num_columns,
            sum(found.row_group(i).total_byte_size for i in range(found.num_row_groups)),
        )
    check_unpacked(claimed, n_bytes, path, what="the table")
    stored = parquet.read_table(path)
    names, left, columns = stored.column_names, stored.columns, {}
    del stored
    for name in names:
        values = left.pop(0)  # each is let go when it is an array
        _check_texts(values, path)
        if arrow.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if values.null_count and (arrow.types.is_integer(values.type) or arrow.types.is_boolean(values.type)):
            missing = values.is_null().to_numpy()
            filled = values.fill_null(arrow.scalar(0, type=values.type)).to_numpy()
            columns[name] = MaskedColumn(filled, mask=missing)
            continue
        if len(values) and (arrow.types.is_string(values.type) or arrow.types.is_large_string(values.type)):
            columns[name] = Texts(_text(value.as_py()) for value in values).array()
            continue
        array = values.to_numpy()
        if array.dtype == object:
            array = np.asarray([_text(value) for value in values.to_pylist()])
        columns[name] = array
    return Table(columns)


def _check_texts(values: Any, path: Path) -> None:
    """Refuse a column of text, also one that names its texts by number, that would become far larger."""
    import pyarrow as arrow
    from pyarrow import compute

    for chunk in values.chunks:
        words = chunk.dictionary if arrow.types.is_dictionary(chunk.type) else chunk
        kinds = (arrow.types.is_string, arrow.types.is_large_string, arrow.types.is_binary)
        if len(words) and any(is_kind(words.type) for is_kind in kinds):
            longest = compute.max(compute.binary_length(words)).as_py() or 0
            held = compute.sum(compute.binary_length(words)).as_py() or 0
            check_unpacked(4 * longest * len(chunk), held, path, what="a column with a text so long")


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def column(table: Any, name: str, where: object) -> Any:
    """Return a column by name, whatever its capitals.

    Raises
    ------
    DataError
        When there is no such column; its hint names the closest.
    """
    for have in table.colnames:
        if have == name or have.casefold() == name.casefold():
            return table[have]
    raise DataError(
        f"the catalogue has no column '{name}'", where=where, hint=did_you_mean(name, table.colnames)
    )


def stacked(tables: Sequence[Any]) -> Any:
    """Return the rows of several tables as one table; a column that is text in one of them is text in all.

    Two surveys may well use one name for a number and for the name of a file.

    Parameters
    ----------
    tables : sequence of Table
        At least one; a column that some of them lack has no values for their rows.
    """
    if len(tables) == 1:
        return tables[0]
    from astropy.table import vstack

    for name in {name for table in tables for name in table.colnames}:
        having = [k for k, table in enumerate(tables) if name in table.colnames]
        if len({tables[k][name].dtype.kind in "US" for k in having}) > 1:
            tables = [_as_text(table, name) if k in having else table for k, table in enumerate(tables)]
    return vstack(list(tables), metadata_conflicts="silent")


def _as_text(table: Any, name: str) -> Any:
    changed = table.copy(copy_data=False)
    column = np.ma.asarray(changed[name])
    text = np.array([_text(value) for value in column.filled().tolist()], dtype=str)
    changed[name] = np.ma.masked_array(text, np.ma.getmaskarray(column)) if column.mask.any() else text
    return changed


def texts_of(values: Any) -> np.ndarray:
    """Return a column as a (N,) array of str, as wide as its longest text."""
    return Texts(str(value) for value in values).array()


def shared(texts: np.ndarray, other: Any) -> np.ndarray:
    """Return `other`, a column or an array, where it holds the same texts, which then are held once."""
    if other is None or np.ma.isMaskedArray(other):
        return texts
    held = np.asarray(other)
    return held if held.dtype == texts.dtype and np.array_equal(held, texts) else texts
