"""Labels that are numbers: continuous ones (a redshift, a merger's stage), and votes for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.data.cutouts import DataInfo, Dataset
from galshift.data.join import Relabelled, joined, rows_of
from galshift.data.labels import check_map
from galshift.data.no_label import missing_numbers, numbers_of_words
from galshift.data.options import ReadOptions, mapped
from galshift.data.tables import column
from galshift.data.votes import are_counts, what_votes_are
from galshift.errors import DataError

#: What fractions without a number of votes count as: about the votes a galaxy got in Galaxy Zoo.
DEFAULT_VOTES = 40.0


def with_numbers(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return `dataset` with labels (N, L) of L continuous quantities, or (N, K) votes for K classes, float32.

    ``classes`` are then the names of the quantities, or of the classes.  They come from columns of a
    catalogue or of the data set's own table, or from labels that the data set holds; a row of NaN is unknown.

    Raises
    ------
    DataError
        When there are no such labels, or a column holds no numbers.
    """
    dataset, options, source, table, join = joined(dataset, options)
    votes = options.label_kind == "votes"
    said: list[str] = []
    named = options.vote_columns if votes else _names(options.label_column)
    if not named:
        labels, names = _own_votes(dataset) if votes else _own_values(dataset)
        labels = _numbered(labels, options.vote_total, table, join, options.labels) if votes else labels
    else:
        labels = numbers(_required(table, dataset), named, options.labels or dataset.path, join)
        if votes:
            if options.vote_total is None and are_counts(labels):
                said = [what_votes_are(labels, "if per cent of N votes: --vote-total N")]
            labels = _numbered(labels, options.vote_total, table, join, options.labels)
            check_map(named, options, options.labels or dataset.path)
            labels, names = _renamed(labels, named, options.classes_map)
        else:
            names = named
    everything = np.arange(len(dataset))
    rows = rows_of(table, join, source)
    labels, notes = _sure(labels, options.min_confidence) if votes else (labels, [])
    notes = [*said, *notes]
    named = tuple(names)
    return Relabelled(dataset, everything, labels.astype(np.float32), named, table=rows, notes=notes)


def _sure(counts: np.ndarray, least: float) -> tuple[np.ndarray, list[str]]:
    """Votes whose winner has at least the fraction `least` of them, NaN for the rest, and a note on those."""
    with np.errstate(invalid="ignore"):
        unsure = counts.max(axis=1) / counts.sum(axis=1) < least
    notes = [f"{int(unsure.sum())} images have no votes: their winner has less than {least:g} of them"]
    return np.where(unsure[:, None], np.nan, counts), notes if unsure.any() else []


def values_of(info: DataInfo, names: Sequence[str]) -> np.ndarray:
    """Return the (N, L) float64 values called `names`, NaN where unknown: the labels, or the table's columns.

    Parameters
    ----------
    info : DataInfo
    names : sequence of str
    """
    own = _float_labels(info)
    if own is not None and list(info.classes) == list(names):
        return own
    if own is not None and not info.classes and own.shape[1] == len(names):
        return own
    have = set() if info.table is None else {name.casefold() for name in info.table.colnames}
    if not {name.casefold() for name in names} <= have:
        return np.full((info.n, len(names)), np.nan)
    return numbers(info.table, names, None)


def votes_of(info: DataInfo, names: Sequence[str], total: str | float | None = None) -> np.ndarray:
    """Return the (N, K) float64 votes for the classes `names`, a row of NaN where unknown.

    Parameters
    ----------
    info : DataInfo
    names : sequence of str
    total : str or float, optional
        As ``ReadOptions.vote_total``; a column that the table does not have counts as not given.
    """
    own = _float_labels(info)
    if own is not None and set(info.classes) == set(names):
        return vote_counts(own[:, [info.classes.index(name) for name in names]])
    found = values_of(info, names)
    have = [] if info.table is None else info.table.colnames
    if isinstance(total, str):
        total = _one(info.table, total) if total in have else None
    return vote_counts(found, total)


def vote_counts(values: np.ndarray, total: np.ndarray | float | None = None) -> np.ndarray:
    """Return (N, K) numbers of votes from vote fractions or counts; a row without votes becomes NaN.

    Parameters
    ----------
    values : ndarray
        (N, K) fractions or counts, NaN for none.
    total : ndarray or float, optional
        Votes in all, (N,) or one number, shared out as `values` say.  Without it, rows that sum to more than
        1.5 somewhere are counts, and fractions stand for `DEFAULT_VOTES`.
    """
    values = np.where(np.isfinite(values) & (values > 0), values, 0.0)
    sums = values.sum(axis=1, keepdims=True)
    if total is None:
        scale = np.full_like(sums, 1.0 if (sums > 1.5).any() else DEFAULT_VOTES)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.broadcast_to(np.reshape(total, (-1, 1)), sums.shape) / sums
    with np.errstate(invalid="ignore"):
        counts = values * scale
    good = (
        (sums > 0) & np.isfinite(counts).all(axis=1, keepdims=True) & (counts.sum(axis=1, keepdims=True) > 0)
    )
    return np.where(good, counts, np.nan)


def numbers(
    table: Any, names: Sequence[str], where: object, join: Sequence[Sequence[int]] | None = None
) -> np.ndarray:
    """Return (N, L) float64 columns of a table, NaN where masked; with `join` the mean of each image's rows.

    Raises
    ------
    DataError
        When a column is missing, or holds words.
    """
    values = np.stack([_one(table, name, where) for name in names], axis=1)
    if join is None:
        return values
    out = np.full((len(join), len(names)), np.nan)
    for image, found in enumerate(join):
        if len(found):
            out[image] = values[found].mean(axis=0)
    return out


def _one(table: Any, name: str, where: object = None) -> np.ndarray:
    """One column as (N,) float64."""
    held = np.ma.asarray(column(table, name, where))
    try:
        words = held.dtype.kind in "UO"
        values = numbers_of_words(held) if words else np.ma.filled(held.astype(np.float64), np.nan)
    except (TypeError, ValueError):
        values = None
    if values is None or values.ndim != 1:
        raise DataError(
            f"the column '{name}' does not hold one number a row",
            where=where,
            hint="class names are the default: leave --label-kind out",
        )
    return np.where(missing_numbers(values), np.nan, values)


def _numbered(labels: np.ndarray, total: Any, table: Any, join: Any, where: object) -> np.ndarray:
    """Votes, with their total from a column or as one number."""
    if isinstance(total, str):
        try:
            total = float(total)
        except ValueError:
            if table is None:
                raise DataError("there is no table with the number of votes", where=total) from None
            total = numbers(table, [total], where, join)[:, 0]
    return vote_counts(labels, total)


def _renamed(
    counts: np.ndarray, names: Sequence[str], mapping: dict[str, str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Votes under new names: those for one name are added, those for an empty one dropped."""
    new = [mapped(name, mapping) for name in names]
    kept = tuple(dict.fromkeys(name for name in new if name))
    if len(kept) < 2:
        raise DataError(f"votes need two classes, and these are {', '.join(kept) or 'none'}", where="--votes")
    summed = np.stack([counts[:, [n == name for n in new]].sum(axis=1) for name in kept], axis=1)
    return np.where(summed.sum(axis=1, keepdims=True) > 0, summed, np.nan), kept


def _own_values(dataset: Dataset) -> tuple[np.ndarray, tuple[str, ...]]:
    """The data set's own labels as numbers, with their names."""
    info = dataset.info
    own = _float_labels(info)
    if own is None and info.labels is not None and info.classes == _anonymous(len(info.classes)):
        own = np.where(info.labels < 0, np.nan, info.labels).reshape(info.n, -1)  # -1: an image has none
        return own, _label_names(own.shape[1])
    if own is None:
        raise DataError(
            "the data set has no continuous labels",
            where=dataset.path,
            hint="name a column of numbers with --label-column" + _columns(info),
        )
    fitting = len(info.classes) == own.shape[1] and info.classes != _anonymous(own.shape[1])
    return own, info.classes if fitting else _label_names(own.shape[1])


def _own_votes(dataset: Dataset) -> tuple[np.ndarray, tuple[str, ...]]:
    """The data set's own soft labels, with the classes."""
    info = dataset.info
    own = _float_labels(info)
    if own is None or own.shape[1] < 2:
        raise DataError(
            "the data set has no votes",
            where=dataset.path,
            hint="name columns with vote fractions or counts, such as --votes smooth,disk" + _columns(info),
        )
    return own, info.classes or _anonymous(own.shape[1])


def _float_labels(info: DataInfo) -> np.ndarray | None:
    """(N, L) float64 labels that are numbers; None for classes."""
    if info.labels is None or np.asarray(info.labels).dtype.kind != "f":
        return None
    return np.asarray(info.labels, dtype=np.float64).reshape(info.n, -1)


def _required(table: Any, dataset: Dataset) -> Any:
    if table is None:
        raise DataError(
            "the data set has no table", where=dataset.name, hint="give a catalogue with --labels"
        )
    return table


def _names(words: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (words or "").split(",") if word.strip())


def _label_names(n: int) -> tuple[str, ...]:
    return ("label",) if n == 1 else tuple(f"label{k}" for k in range(n))


def _anonymous(n: int) -> tuple[str, ...]:
    return tuple(f"class{k}" for k in range(n))


def _columns(info: DataInfo) -> str:
    return "" if info.table is None else f"; the table has {', '.join(info.table.colnames[:12])}"
