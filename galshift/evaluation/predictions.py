"""The table of predictions: one row an image, as FITS, CSV or Parquet.

Columns: ``id``, ``group``, ``data_set``, ``split``, ``label`` (class name, empty where unknown),
``prediction`` (class name), ``confidence`` (probability of the predicted class), ``p_<class>``, ``entropy``
[nat], ``unknown_score`` (of universal methods alone: above 0.5 for a class that the source does not have),
``prediction_set`` (classes that cannot be ruled out) and ``in_doubt`` (not exactly one), both of predict
alone, ``flag`` (0 where nothing is wrong, else the bits of the forward pass), then the catalogue's columns; a
catalogue column whose name is taken becomes ``catalogue_<name>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.table_files import write_csv, write_fits, write_parquet
from galshift.errors import ResourceError, UsageError
from galshift.evaluation.classes import hard_labels
from galshift.evaluation.honesty import entropy
from galshift.provenance import atomic_path, canonical_json, jsonable, software

if TYPE_CHECKING:
    from astropy.table import Table

FORMATS = (".fits", ".fit", ".fits.gz", ".csv", ".parquet")


def predictions_table(
    *,
    ids: np.ndarray,
    groups: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    data_set: str,
    split: str | np.ndarray = "",
    labels: np.ndarray | None = None,
    flags: np.ndarray | None = None,
    unknown: np.ndarray | None = None,
    selected: Mapping[str, np.ndarray] | None = None,
    catalogue: Table | None = None,
) -> Table:
    """Return the table of predictions of one data set.

    Parameters
    ----------
    ids, groups : ndarray of str
        (N,).
    probabilities : ndarray
        (N, K); a row that is not finite gives an empty prediction and NaN confidence.
    classes : sequence of str
    data_set : str
    split : str or ndarray of str
    labels : ndarray, optional
        As in ``Cutouts``.
    flags : ndarray, optional
        (N,) integers; default zero.
    unknown : ndarray, optional
        (N,) scores in [0, 1] of an unknown class.
    selected : mapping of str to ndarray, optional
        (N,) further columns, by name: of selected classes, of prediction sets.
    catalogue : Table, optional
        N rows.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    n = len(probabilities)
    usable = np.isfinite(probabilities).all(axis=1)
    filled = np.where(usable[:, None], probabilities, 0.0)
    names = np.array([*classes, ""], dtype=str)
    columns = _begun(ids, groups, data_set, split)
    columns["label"] = names[hard_labels(labels, n)]
    columns["prediction"] = names[np.where(usable, filled.argmax(axis=1), -1)]
    columns["confidence"] = np.where(usable, filled.max(axis=1, initial=0), np.nan)
    for index, name in enumerate(classes):
        columns[f"p_{name}"] = probabilities[:, index]
    columns["entropy"] = np.where(usable, entropy(filled), np.nan)
    if unknown is not None:
        columns["unknown_score"] = np.asarray(unknown, dtype=np.float64)
    columns |= selected or {}
    columns["flag"] = np.zeros(n, np.int32) if flags is None else np.asarray(flags, dtype=np.int32)
    return _with_catalogue(_table(columns), catalogue)


def value_table(
    *,
    ids: np.ndarray,
    groups: np.ndarray,
    names: Sequence[str],
    values: np.ndarray,
    sigmas: np.ndarray,
    data_set: str,
    split: str | np.ndarray = "",
    labels: np.ndarray | None = None,
    flags: np.ndarray | None = None,
    catalogue: Table | None = None,
) -> Table:
    """Return the table of predicted continuous labels of one data set.

    One label has the columns ``label`` (NaN where unknown), ``value`` and ``value_sigma``; of several each
    has its name after them, such as ``value_sigma_redshift``.

    Parameters
    ----------
    names : sequence of str
        Of the L labels.
    values, sigmas : ndarray
        (N, L) in the labels' units, NaN where an image gave no answer.
    labels : ndarray, optional
        (N, L).
    ids, groups, data_set, split, flags, catalogue
        As for :func:`predictions_table`.
    """
    columns = _begun(ids, groups, data_set, split)
    labels = np.full(np.shape(values), np.nan) if labels is None else labels
    for k, name in enumerate(names):
        end = f"_{name}" if len(names) > 1 else ""
        columns[f"label{end}"] = np.asarray(labels, dtype=np.float64)[:, k]
        columns[f"value{end}"] = values[:, k]
        columns[f"value_sigma{end}"] = sigmas[:, k]
    columns["flag"] = np.zeros(len(values), np.int32) if flags is None else np.asarray(flags, dtype=np.int32)
    return _with_catalogue(_table(columns), catalogue)


def votes_table(
    *,
    ids: np.ndarray,
    groups: np.ndarray,
    fractions: np.ndarray,
    concentration: np.ndarray,
    classes: Sequence[str],
    data_set: str,
    split: str | np.ndarray = "",
    counts: np.ndarray | None = None,
    flags: np.ndarray | None = None,
    catalogue: Table | None = None,
) -> Table:
    """Return the table of predicted vote fractions of one data set.

    To the columns of :func:`predictions_table`, whose ``p_<class>`` are the expected vote fractions, come
    ``observed_<class>`` and ``votes`` (their number), NaN where unknown, and ``concentration``, the sum of
    the Dirichlet parameters: the larger, the surer.

    Parameters
    ----------
    fractions : ndarray
        (N, K) expected fractions.
    concentration : ndarray
        (N,).
    counts : ndarray, optional
        (N, K) votes, a row of NaN where unknown.
    ids, groups, classes, data_set, split, flags, catalogue
        As for :func:`predictions_table`.
    """
    counts = np.full(np.shape(fractions), np.nan) if counts is None else np.asarray(counts, dtype=np.float64)
    table = predictions_table(
        ids=ids,
        groups=groups,
        probabilities=fractions,
        classes=classes,
        data_set=data_set,
        split=split,
        labels=counts,
        flags=flags,
    )
    total = counts.sum(axis=1)
    for k, name in enumerate(classes):
        table[f"observed_{name}"] = counts[:, k] / total
    table["votes"] = total
    table["concentration"] = concentration
    return _with_catalogue(table, catalogue)


def _begun(
    ids: np.ndarray, groups: np.ndarray, data_set: str, split: str | np.ndarray
) -> dict[str, np.ndarray]:
    """The columns that say which image a row is."""
    n = len(ids)
    return {
        "id": np.asarray(ids, dtype=str),
        "group": np.asarray(groups, dtype=str),
        "data_set": np.broadcast_to(np.asarray(data_set, dtype=f"U{max(len(data_set), 1)}"), (n,)),
        "split": np.broadcast_to(np.asarray(split, dtype=str), (n,)),
    }


def _table(columns: dict[str, np.ndarray]) -> Table:
    """Return a table of the columns themselves: a copy of each would be the survey's size again."""
    from astropy.table import Table

    return Table(columns, copy=False)


def _with_catalogue(table: Table, catalogue: Table | None) -> Table:
    """Add the catalogue's columns; one whose name is taken becomes ``catalogue_<name>``."""
    if catalogue is None:
        return table
    taken = {name.lower() for name in table.colnames}
    for name in catalogue.colnames:
        shown = f"catalogue_{name}" if name.lower() in taken else name
        if shown.lower() not in taken:  # FITS column names differ by more than case
            table[shown] = catalogue[name]
            taken.add(shown.lower())
    return table


def check_format(path: str | Path) -> None:
    """Raise UsageError unless `path` ends in a format that :func:`write_predictions` writes.

    Raises
    ------
    ResourceError
        When Parquet is asked for and pyarrow is not installed.
    """
    name = Path(path).name.lower()
    if not name.endswith(FORMATS):
        raise UsageError(
            "the output's ending names no known format", where=path, hint=f"use {', '.join(FORMATS)}"
        )
    if name.endswith(".parquet"):
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise ResourceError(
                "writing Parquet needs pyarrow",
                where=path,
                hint="pip install 'galshift[parquet]', or write .fits",
            ) from None


def write_predictions(path: str | Path, table: Table, *, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a table as FITS, CSV or Parquet, by the ending of `path`, whole or not at all.

    FITS holds ASCII only: other characters of text and names become ``\\xNN`` escapes.  CSV has no place for
    provenance.
    """
    path = Path(path)
    check_format(path)
    details = canonical_json(jsonable({**software(), **(provenance or {})}))
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".csv":
            write_csv(temporary, table)
        elif path.suffix.lower() == ".parquet":
            write_parquet(temporary, table, {"galshift": details})
        else:
            write_fits(temporary, table, "PREDICTIONS", details, path)
    return path
