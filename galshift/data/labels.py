"""Class names of images: from a catalogue, from a column of numbers cut into bins, or renamed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.compact import Words
from galshift.data.cutouts import Dataset
from galshift.data.join import Joined, Relabelled, joined, rows_of
from galshift.data.no_label import (
    labels_of_different,
    labels_of_words,
    missing_classes,
    missing_numbers,
    numbers_of_words,
    said,
)
from galshift.data.one_class import one_class
from galshift.data.options import ReadOptions, mapped, mapping_key
from galshift.data.tables import column
from galshift.data.votes import votes
from galshift.errors import DataError, did_you_mean

_NAMES = ("label", "labels", "class", "classes", "morphology", "target", "type", "gz2_class", "summary")
# Several columns of few numbers make this many classes side by side (bar 0 or 1, ring 0 or 1).
_SETS = 10
# So many different whole numbers, each of so few rows, are counts or ids rather than classes.
_MANY, _FEW_EACH = 50, 5


def with_labels(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return `dataset` with labels from a catalogue, from a column of its own, or with classes renamed.

    Images whose class is dropped by ``classes_map``, or that bear two classes, leave the data set; of files
    with the same content the first stays, with all their labels considered.  Images that the catalogue does
    not know keep the label -1, as do those where it has no label (empty, ``nan``, -99, ...).

    Raises
    ------
    DataError
        When the catalogue or a column is missing, no row fits an image, the column is of continuous numbers
        and no bins are given, ``classes_map`` names no class there is, or no image is left.
    """
    found = joined(dataset, options)
    dataset, options, table = found.dataset, found.options, found.table
    if options.vote_columns:
        labels, classes, notes = votes(_need(table, dataset), found.rows, options)
        check_map(options.vote_columns, options, found.path or dataset.path)
        rows = rows_of(table, found.rows, found.path)
        return Relabelled(dataset, np.arange(len(dataset)), labels, classes, table=rows, notes=notes)
    name = options.label_column or (
        None if table is None or not found.path else label_column(table, found.path)
    )
    order: tuple[str, ...] | None = None
    if name is not None and options.label_bins:
        order = bin_names(options.label_bins)
        words = _binned(_need(table, dataset), name, options.label_bins, found)
    elif name is not None:
        words = _words(_need(table, dataset), name, found)
    elif options.label_bins:
        return _own_binned(found)
    else:
        return _relabel(found, _own_classes(dataset, options), ())
    different, absent = labels_of_different(words, options.classes_map)
    check_map(different, options, found.path or dataset.path)
    renamed = [_renamed(word, options.classes_map) if word else None for word in different]
    names = ({renamed[words.codes[row]] for row in rows} - {None} for rows in found.rows or ())
    notes = [f"read as no label: {said(absent)} of the column '{name}'"] if absent else []
    return _relabel(found, names, notes, order)


def _own_classes(dataset: Dataset, options: ReadOptions) -> Iterator[set[str]]:
    """The data set's own classes, renamed."""
    info = dataset.info
    if info.labels is None or np.ndim(info.labels) != 1 or not info.classes:
        raise DataError(
            "there are no class names to map", where=dataset.name, hint="give --labels with a class column"
        )
    check_map(info.classes, options, dataset.path)
    renamed = [mapped(word, options.classes_map) for word in info.classes]
    return ({renamed[i]} if i >= 0 and info.classes[i] else set() for i in info.labels)


def _words(table: Any, name: str, found: Joined) -> Words:
    """The class in each row of a table, from one column, or from several with a stroke between."""
    columns = [column(table, part.strip(), found.options.labels) for part in name.split(",")]
    for values in columns:
        _refuse_continuous(values, found, name)
    if len(columns) == 1:
        return Words(map(_word, columns[0]))
    parts = [labels_of_words([_word(value) for value in values])[0] for values in columns]
    words = ["/".join(row) if any(row) else "" for row in zip(*parts)]
    known = [word for word in words if word]
    many = len(set(known)) > _SETS and len(known) < _FEW_EACH * len(set(known))
    if many and all(_as_numbers(values) is not None for values in columns):
        raise DataError(
            f"the columns '{name}' hold {len(set(known))} different sets of numbers in {len(known)} rows, "
            "not classes",
            where=found.path or found.dataset.path,
            hint=_hint_of_several(name),
        )
    return Words(words)


def _hint_of_several(name: str) -> str:
    return (
        f"if they are votes for one class each: --votes {name} in place of --label-column; to learn the "
        "numbers themselves: --label-kind value"
    )


def _refuse_continuous(values: Any, found: Joined, name: str) -> None:
    """Refuse a column of measurements or counts where classes are wanted.

    Raises
    ------
    DataError
    """
    numbers = _as_numbers(values)
    if numbers is None:
        return
    known = numbers[~missing_classes(numbers)]
    different = np.unique(known)
    continuous = bool((known != np.round(known)).any())
    if not continuous and (len(different) <= _MANY or len(known) >= _FEW_EACH * len(different)):
        return
    kind = "continuous numbers" if continuous else f"{len(different)} different whole numbers"
    low, high = (float(different[i]) for i in (0, -1))
    raise DataError(
        f"the column '{values.name}' holds {kind} ({low:.4g} to {high:.4g}), not classes",
        where=found.path or found.dataset.path,
        hint=_hint_of_several(name)
        if "," in name
        else f"cut it into classes with --label-bins {_edges(known)}, or learn the number itself with "
        "--label-kind value",
    )


def _edges(known: np.ndarray) -> str:
    """Round edges that would make two classes of about equal numbers, as an example."""
    low, middle, high = np.quantile(known, (0, 0.5, 1))
    step = 10.0 ** np.floor(np.log10(high - low)) / 10 if high > low else 1.0
    edges = np.floor(low / step) * step, np.round(middle / step) * step, np.ceil(high / step) * step
    return ",".join(f"{edge:.6g}" for edge in edges) if edges[0] < edges[1] < edges[2] else "0,0.5,1"


def _as_numbers(values: Any) -> np.ndarray | None:
    """A column as float64 with NaN where it is empty; None where it holds words."""
    held = np.ma.asarray(values)
    if held.ndim != 1 or held.dtype.kind == "b":
        return None
    try:
        if held.dtype.kind in "iuf":
            return np.ma.filled(held.astype(np.float64), np.nan)
        return numbers_of_words(held)
    except ValueError:
        return None


def bin_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the classes between `edges`: ``0.1 to 0.3``; of one edge ``below 1`` and ``from 1``."""
    if len(edges) == 1:
        return f"below {edges[0]:g}", f"from {edges[0]:g}"
    return tuple(f"{low:g} to {high:g}" for low, high in pairwise(edges))


def binned(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Return the bin (N,) of each value (N,), counted from 0; -1 outside, and where it is missing.

    A bin holds its lower edge; its upper edge belongs to the next, and that of the last to the last.
    """
    values = np.asarray(values, dtype=np.float64)
    missing = missing_numbers(values)
    if len(edges) == 1:
        return np.where(missing, -1, (np.nan_to_num(values) >= edges[0]).astype(np.int64))
    bins = np.searchsorted(edges, np.nan_to_num(values), side="right") - 1
    bins = np.where(values == edges[-1], len(edges) - 2, bins)
    outside = missing | (bins < 0) | (bins > len(edges) - 2)
    return np.where(outside, -1, bins).astype(np.int64)


def _binned(table: Any, name: str, edges: Sequence[float], found: Joined) -> Words:
    """The name of the bin in each row, empty for none."""
    if "," in name:
        raise DataError(
            f"--label-bins cuts one column of numbers into classes, and --label-column names several: {name}",
            where=found.path or found.dataset.path,
            hint=f"name one: --label-column {name.split(',')[0].strip()}",
        )
    held = column(table, name, found.options.labels)
    numbers = _as_numbers(held)
    if numbers is None:
        raise DataError(
            f"the column '{name}' does not hold numbers, which --label-bins could cut into classes",
            where=found.path or found.dataset.path,
            hint="leave --label-bins out: words are classes as they are",
        )
    names = bin_names(edges)
    return Words(names[k] if k >= 0 else "" for k in binned(numbers, edges))


def _own_binned(found: Joined) -> Relabelled:
    """A data set whose own labels are numbers, cut into classes."""
    info, edges = found.dataset.info, found.options.label_bins
    own = None if info.labels is None else np.asarray(info.labels, dtype=np.float64)
    if own is not None and own.ndim == 2 and own.shape[1] == 1:
        own = own[:, 0]
    if own is None or own.ndim != 1 or (np.asarray(info.labels).dtype.kind != "f" and not _numbered(info)):
        raise DataError(
            "there are no numbers that --label-bins could cut into classes",
            where=found.dataset.path,
            hint="name a column of numbers with --label-column",
        )
    names = bin_names(edges)
    words = ({names[k]} if k >= 0 else set() for k in binned(np.where(own == -1, np.nan, own), edges))
    return _relabel(found, words, (), names)


def _numbered(info: Any) -> bool:
    """Whether classes are called after their numbers, so that they are numbers as well."""
    return info.classes == tuple(f"class{k}" for k in range(len(info.classes)))


def check_map(words: Sequence[str], options: ReadOptions, where: object) -> None:
    """Refuse a ``classes_map`` that names none of the classes there are.

    Raises
    ------
    DataError
    """
    mapping = options.classes_map
    different = {word for word in words if word}
    parts = different | {word.split("/")[0] for word in different}
    if not mapping or "*" in mapping or any(mapping_key(word, mapping) is not None for word in parts):
        return
    first = next(iter(mapping))
    raise DataError(
        f"--classes-map names none of the classes that there are: {', '.join(sorted(different)[:8])}",
        where=where,
        hint=did_you_mean(first, sorted(different)),
    )


def _renamed(word: str, mapping: dict[str, str]) -> str:
    """Return the new name of ``question/answer``: by the whole of it, else by its first part."""
    if "/" not in word or mapping_key(word, mapping) not in (None, "*"):
        return mapped(word, mapping)
    first = word.split("/")[0]
    return mapped(first if mapping_key(first, mapping) not in (None, "*") else word, mapping)


def _relabel(
    found: Joined, images: Iterable[set[str]], said: Sequence[str], order: Sequence[str] | None = None
) -> Relabelled:
    """The data set with one class an image; `order` is that of the classes, by name where it is None."""
    dataset, options = found.dataset, found.options
    kept, labels, counted = one_class(dataset, images)
    present = {label for label in labels if label is not None}
    classes = tuple(sorted(present) if order is None else [name for name in order if name in present])
    classes += tuple(sorted(present - set(classes)))
    if not classes:
        raise DataError(
            "no image has a class",
            where=options.labels or dataset.name,
            hint="is the column filled in? see also --label-column, --where and --label-bins",
        )
    index = {name: k for k, name in enumerate(classes)}
    numbers = np.asarray([-1 if label is None else index[label] for label in labels], dtype=np.int64)
    notes = [*said, *_alike(classes)]
    notes += [f"{n} images {what} and are not used" for what, n in counted.items() if n]
    unlabelled = int((numbers < 0).sum())
    notes += [f"{unlabelled} images have no label"] if unlabelled else []
    rows = rows_of(found.table, found.rows, found.path)
    groups = None
    if options.group_column and found.table is not None and found.rows is not None:
        values = column(found.table, options.group_column, options.labels)
        ids = dataset.info.ids
        groups = np.asarray([str(values[found.rows[i][0]]) if found.rows[i] else str(ids[i]) for i in kept])
    return Relabelled(
        dataset,
        kept,
        numbers,
        classes,
        table=None if rows is None else rows[kept],
        groups=groups,
        notes=notes,
    )


def _alike(classes: Sequence[str]) -> list[str]:
    """Notes on classes that differ in capitals and spaces alone."""
    same = defaultdict(list)
    for name in classes:
        same["".join(name.casefold().split())].append(name)
    pairs = [" and ".join(f"'{name}'" for name in names) for names in same.values() if len(names) > 1]
    return [f"{pair} are two classes; --classes-map makes them one" for pair in pairs]


def label_column(table: Any, source: Path) -> str:
    """Return the name of the column that holds the class, by its usual names.

    Raises
    ------
    DataError
        When there is none.
    """
    for name in _NAMES:
        for have in table.colnames:
            if have.casefold() == name:
                return have
    raise DataError(
        "it is not clear which column holds the class",
        where=source,
        hint=f"name one with --label-column: {', '.join(table.colnames[:12])}",
    )


def _need(table: Any, dataset: Dataset) -> Any:
    if table is None:
        raise DataError(
            "the data set has no table", where=dataset.name, hint="give a catalogue with --labels"
        )
    return table


def _word(value: Any) -> str:
    return "" if value is np.ma.masked or value is None else str(value).strip()
