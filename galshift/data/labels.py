"""Join a catalogue to images: class names, votes, groups, and the columns that travel along."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.options import ReadOptions, mapped
from galshift.data.readers._base import Opened, stem
from galshift.data.tables import column, read_table
from galshift.errors import DataError

_NAMES = ("label", "labels", "class", "classes", "morphology", "target", "type", "gz2_class", "summary")


def with_labels(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return `dataset` with labels from a catalogue, from a column of its own, or with classes renamed.

    Images whose class is dropped by ``classes_map``, or that bear two classes, leave the data set; of files
    with the same content the first stays, with all their labels considered.  Images that the catalogue does
    not know keep the label -1.

    Raises
    ------
    DataError
        When the catalogue or a column is missing, no row fits an image, or no image is left.
    """
    options, source, table, join = joined(dataset, options)
    if options.vote_columns:
        values = votes(_need(table, dataset), join, options)
        return Relabelled(dataset, np.arange(len(dataset)), *values, table=rows_of(table, join, source))
    column = options.label_column or (None if table is None or not source else _guess(table, source))
    if column is not None:
        found = _names_by_image(_need(table, dataset), join, column, options)
    elif dataset.info.labels is not None and dataset.info.labels.ndim == 1 and dataset.info.classes:
        classes = dataset.info.classes
        found = [{mapped(classes[i], options.classes_map)} if i >= 0 else set() for i in dataset.info.labels]
    else:
        raise DataError(
            "there are no class names to map", where=dataset.name, hint="give --labels with a class column"
        )
    return _relabel(dataset, found, rows_of(table, join, source), options, table, join)


def joined(
    dataset: Dataset, options: ReadOptions
) -> tuple[ReadOptions, Path | None, Any, list[list[int]] | None]:
    """Return the options with the label's column, the catalogue's path, its table and each image's rows.

    The table is the data set's own, with ``None`` for a path, where no catalogue is given; table and rows are
    None where it has none.

    Raises
    ------
    DataError
        When there is no such catalogue or column, or no row fits an image.
    """
    table = dataset.info.table
    if options.labels is not None and os.path.exists(options.labels):
        source = Path(options.labels)
        table = read_table(source)
        return options, source, table, join_rows(dataset, table, options.id_column, source)
    if options.labels is not None:
        options = options.model_copy(update={"label_column": options.labels})
        if table is None:
            raise DataError(
                "there is no such catalogue, and the data set has no table with such a column",
                where=f"--labels {options.labels}",
                hint="give a CSV, FITS, VOTable or parquet file",
            )
    return options, None, table, None if table is None else [[i] for i in range(len(dataset))]


class Relabelled(Opened):
    """A data set seen through other labels, and possibly with fewer images."""

    def __init__(
        self,
        base: Dataset,
        keep: np.ndarray,
        labels: np.ndarray | None,
        classes: tuple[str, ...],
        *,
        table: Any = None,
        groups: np.ndarray | None = None,
        ids: np.ndarray | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        info = base.info
        own = info.table[keep] if table is None and info.table is not None else table
        super().__init__(
            base.path,
            dataclasses.replace(
                info,
                n=len(keep),
                ids=info.ids[keep] if ids is None else ids,
                groups=info.groups[keep] if groups is None else groups,
                labels=labels,
                classes=classes,
                pixel_scale=info.pixel_scale[keep] if np.ndim(info.pixel_scale) else info.pixel_scale,
                psf_fwhm=info.psf_fwhm[keep] if np.ndim(info.psf_fwhm) else info.psf_fwhm,
                table=own,
                notes=(*info.notes, *notes),
            ),
            base.name,
        )
        self.base, self.keep = base, keep

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, with the new labels."""
        rows, info = self.indices(indices), self.info
        return self.base.read(self.keep[rows]).with_(
            ids=info.ids[rows],
            labels=None if info.labels is None else info.labels[rows],
            classes=info.classes,
            groups=info.groups[rows],
            table=None if info.table is None else info.table[rows],
        )


def join_rows(dataset: Dataset, table: Any, id_column: str | None, where: object) -> list[list[int]]:
    """Return for each image the catalogue rows that name it, by id, file name or path.

    Without `id_column` the column with the most matches is taken.

    Raises
    ------
    DataError
        When no column names any image.
    """
    keys = [_key(name) for name in dataset.info.ids]
    short = [os.path.basename(key) for key in keys]
    known = set(keys) | set(short)
    names = [id_column] if id_column else table.colnames
    best: tuple[int, dict[str, list[int]]] = (0, {})
    for name in names:
        values = column(table, name, where)
        if values.ndim > 1 or (id_column is None and values.dtype.kind in "fcb"):
            continue
        rows: dict[str, list[int]] = defaultdict(list)
        for row, value in enumerate(values):
            key = _key(value)
            if key in known or (key := os.path.basename(key)) in known:
                rows[key].append(row)
        if len(rows) > best[0]:
            best = (len(rows), rows)
    if not best[0]:
        have = f"'{id_column}'" if id_column else f"{', '.join(table.colnames[:8])}"
        raise DataError(
            f"no row of the catalogue names an image (looked in {have}; images are called like '{keys[0]}')",
            where=where,
            hint="name the column with the image's name or file with --id-column",
        )
    return [best[1].get(key) or best[1].get(name) or [] for key, name in zip(keys, short)]


def votes(table: Any, join: list[list[int]], options: ReadOptions) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels from vote fractions: the winner above ``min_confidence`` (else -1), or soft labels."""
    stack = [
        np.ma.filled(np.ma.asarray(column(table, c, options.labels), float), np.nan)
        for c in options.vote_columns
    ]
    fractions = np.stack(stack, axis=1)
    rows = np.full((len(join), fractions.shape[1]), np.nan)
    for image, found in enumerate(join):
        if found:
            rows[image] = fractions[found].mean(axis=0)
    rows = np.where(rows >= 0, rows, np.nan)
    total = np.nansum(rows, axis=1, keepdims=True)
    classes = [mapped(name, options.classes_map) for name in options.vote_columns]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.nan_to_num(rows) / total
    if options.soft_labels:
        return shares.astype(np.float32), tuple(classes)
    winner = np.argmax(np.nan_to_num(shares), axis=1)
    sure = np.nan_to_num(np.max(np.nan_to_num(rows), axis=1)) >= max(options.min_confidence, 1e-12)
    names = sorted({name for name in classes if name})
    index = np.asarray([names.index(name) if name else -1 for name in classes])
    return np.where(sure, index[winner], -1).astype(np.int64), tuple(names)


def _names_by_image(table: Any, join: Any, name: str, options: ReadOptions) -> list[set[str]]:
    """Return for each image the set of its (mapped) class names; an empty name is a dropped class."""
    where = options.labels
    columns = [column(table, part.strip(), where) for part in name.split(",")]
    words = ["/".join(_word(values[row]) for values in columns) for row in range(len(table))]
    renamed = [_renamed(word, options.classes_map) for word in words]
    return [{renamed[row] for row in rows if words[row].strip("/")} for rows in join]


def _renamed(word: str, mapping: dict[str, str]) -> str:
    """Return the new name of ``question/answer``: by the whole of it, else by its first part."""
    if word in mapping or "/" not in word:
        return mapped(word, mapping)
    first = word.split("/")[0]
    return mapping[first] if first in mapping else mapped(word, mapping)


def _relabel(
    dataset: Dataset, found: list[set[str]], rows: Any, options: ReadOptions, table: Any, join: Any
) -> Relabelled:
    same = getattr(dataset, "same_image", None)
    together: dict[str, set[str]] = defaultdict(set)
    for key, names in zip(dataset.info.ids if same is None else same, found):
        together[str(key)] |= names
    keep, labels, dropped, conflicts, copies, seen = [], [], 0, 0, 0, set()
    for i, key in enumerate(map(str, dataset.info.ids if same is None else same)):
        names = together[key] - {""}
        if same is not None and key in seen:
            copies += 1
        elif len(names) > 1:
            conflicts += 1
        elif not names and "" in together[key]:
            dropped += 1
        else:
            keep.append(i)
            labels.append(next(iter(names), None))
        seen.add(key)
    classes = tuple(sorted({label for label in labels if label is not None}))
    if not classes:
        raise DataError(
            "no image has a class", where=options.labels or dataset.name, hint="see --label-column"
        )
    index = {name: k for k, name in enumerate(classes)}
    numbers = np.asarray([-1 if label is None else index[label] for label in labels], dtype=np.int64)
    counted = {"bear two classes": conflicts, "have a class left out": dropped, "are copies": copies}
    notes = [f"{n} images {what} and are not used" for what, n in counted.items() if n]
    unlabelled = int((numbers < 0).sum())
    notes += [f"{unlabelled} images have no label"] if unlabelled else []
    keep_array = np.asarray(keep, dtype=np.int64)
    groups = None
    if options.group_column and table is not None:
        values = column(table, options.group_column, options.labels)
        ids = dataset.info.ids
        groups = np.asarray([str(values[join[i][0]]) if join[i] else str(ids[i]) for i in keep])
    return Relabelled(
        dataset,
        keep_array,
        numbers,
        classes,
        table=None if rows is None else rows[keep_array],
        groups=groups,
        notes=notes,
    )


def rows_of(table: Any, join: Any, source: Path | None) -> Any:
    """Return one catalogue row an image, where every image has exactly one; else None."""
    if source is None or table is None or any(len(rows) != 1 for rows in join):
        return None
    return table[[rows[0] for rows in join]]


def _guess(table: Any, source: Path) -> str:
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


def _key(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = text.strip().replace("\\", "/")
    folder, base = os.path.split(text)
    return os.path.join(folder, stem(base)) if "." in base and not base.replace(".", "").isdigit() else text
