"""A table as a folder of Parquet files, written row group by row group as the rows come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galshift.errors import UsageError
from galshift.evaluation.predictions import check_format, write_predictions
from galshift.provenance import atomic_folder

if TYPE_CHECKING:
    from astropy.table import Table


def check_folder(path: str | Path) -> None:
    """Raise UsageError unless `path` says that the files are Parquet.

    Raises
    ------
    ResourceError
        When pyarrow is not installed.
    """
    if Path(path).suffix.lower() != ".parquet":
        raise UsageError(
            "shards of a table are Parquet files", where=path, hint="call the folder something.parquet"
        )
    check_format(path)


def write_shards(
    folder: str | Path, tables: Iterable[Table], rows: int, *, provenance: Mapping[str, Any] | None = None
) -> Path:
    """Write the rows of `tables` as ``part-00000.parquet`` and on; the folder appears when it is whole.

    Parameters
    ----------
    folder : path-like
        An existing one is replaced.
    tables : iterable of Table
        All with the same columns; one is in memory at a time, and the rows of an unfinished file.
    rows : int
        Of each file but the last.
    provenance : mapping, optional
        JSON-able account, stored in every file.
    """
    folder = Path(folder)
    with atomic_folder(folder) as unfinished:
        for number, part in enumerate(_regrouped(tables, rows)):
            write_predictions(unfinished / f"part-{number:05d}.parquet", part, provenance=provenance)
    return folder


def _regrouped(tables: Iterable[Table], rows: int) -> Iterator[Table]:
    """Yield the same rows in tables of `rows` rows; the last may have fewer."""
    from astropy.table import vstack

    held: Table | None = None
    for table in tables:
        held = table if held is None else vstack([held, table], metadata_conflicts="silent")
        while len(held) >= rows:
            yield held[:rows]
            held = held[rows:]
    if held is not None and len(held):
        yield held
