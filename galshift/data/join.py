"""Which rows of a catalogue belong to which image, and a data set seen with what they say."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from galshift.data.compact import Rows
from galshift.data.cutouts import GIVEN, Cutouts, Dataset
from galshift.data.options import ReadOptions
from galshift.data.readers._base import Opened, stem
from galshift.data.tables import column, read_table, shared
from galshift.data.where import rows_where
from galshift.errors import DataError

# Above this whole number a float64 skips some.
_EXACT = 2**53
_ROUNDED = re.compile(r"\d(?:\.\d+)?[eE]\+?(?:1[5-9]|2\d)")


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
        groups_from: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        info = base.info
        whole = len(keep) == info.n and bool((keep == np.arange(info.n)).all())
        # What is the same in both is held once.
        part = (lambda value: value) if whole else (lambda value: value[keep])
        own = part(info.table) if table is None and info.table is not None else table
        super().__init__(
            base.path,
            dataclasses.replace(
                info,
                n=len(keep),
                ids=part(info.ids) if ids is None else shared(ids, info.ids),
                groups=part(info.groups) if groups is None else shared(groups, info.groups),
                groups_from=groups_from or (info.groups_from if groups is None else GIVEN),
                labels=labels,
                classes=classes,
                pixel_scale=part(info.pixel_scale) if np.ndim(info.pixel_scale) else info.pixel_scale,
                psf_fwhm=part(info.psf_fwhm) if np.ndim(info.psf_fwhm) else info.psf_fwhm,
                table=own,
                notes=(*info.notes, *notes),
            ),
            base.name,
        )
        self.base, self.keep = base, keep
        same = getattr(base, "same_image", None)
        if same is not None:
            self.same_image = np.asarray(same)[keep]

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, with the new labels."""
        rows, info = self.indices(indices), self.info
        return self.base.read(self.keep[rows]).with_(
            ids=info.ids[rows],
            labels=None if info.labels is None else info.labels[rows],
            classes=info.classes,
            groups=info.groups[rows],
            groups_from=info.groups_from,
            table=None if info.table is None else info.table[rows],
        )


class Joined(NamedTuple):
    """A data set and the catalogue that says more of it.

    Attributes
    ----------
    dataset : Dataset
        Without the images that ``where`` leaves out.
    options : ReadOptions
        With the label's column, where ``labels`` named one.
    path : Path or None
        The catalogue; None where the table is the data set's own.
    table : Table or None
    rows : sequence of list of int or None
        For each image the rows of the table that name it.
    """

    dataset: Dataset
    options: ReadOptions
    path: Path | None
    table: Any
    rows: Rows | None


def joined(dataset: Dataset, options: ReadOptions) -> Joined:
    """Return `dataset` with its catalogue: the one that ``labels`` names, or its own table.

    Raises
    ------
    DataError
        When there is no such catalogue or column, or no row fits an image.
    UsageError
        When ``where`` cannot be read.
    """
    table, path = dataset.info.table, None
    if options.labels is not None and os.path.exists(options.labels):
        path = Path(options.labels)
        table = read_table(path)
        rows = join_rows(dataset, table, options.id_column, path)
    else:
        rows = None if table is None else _one_each(len(dataset))
        if options.labels is not None:
            options = options.model_copy(update={"label_column": options.labels})
            if table is None:
                raise DataError(
                    "there is no such catalogue, and the data set has no table with such a column",
                    where=f"--labels {options.labels}",
                    hint="give a CSV, FITS, VOTable or parquet file",
                )
    found = Joined(dataset, options, path, table, rows)
    return found if options.where is None else _selected(found)


def _selected(found: Joined) -> Joined:
    """The images, and the rows, that ``where`` names."""
    dataset, options = found.dataset, found.options
    if found.table is None or found.rows is None:
        raise DataError(
            "there is no catalogue whose rows --where could choose from",
            where=dataset.path,
            hint="give one, with one row an image, by --labels",
        )
    wanted = rows_where(found.table, str(options.where))
    rows = Rows([row for row in here if wanted[row]] for here in found.rows)
    keep = np.flatnonzero(np.fromiter((bool(here) for here in rows), bool, len(rows)))
    if not keep.size:
        raise DataError(
            f"no image is left by --where '{options.where}'",
            where=found.path or dataset.path,
            hint="galshift inspect shows the catalogue's columns",
        )
    note = f"{len(rows) - len(keep)} of {len(rows)} images are left out by '{options.where}'"
    info = dataset.info
    narrowed = Relabelled(
        dataset, keep, None if info.labels is None else info.labels[keep], info.classes, notes=[note]
    )
    if found.path is None:
        return found._replace(dataset=narrowed, table=narrowed.info.table, rows=_one_each(len(keep)))
    return found._replace(dataset=narrowed, rows=Rows(rows[i] for i in keep))


def _one_each(n: int) -> Rows:
    return Rows((row,) for row in range(n))


def selected(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return the images of `dataset` that ``where`` names, where no label comes from the catalogue."""
    return joined(dataset, options).dataset


def join_rows(dataset: Dataset, table: Any, id_column: str | None, where: object) -> Rows:
    """Return for each image the catalogue rows that name it, by id, file name or path.

    Without `id_column` the column with the most matches is taken.

    Raises
    ------
    DataError
        When no column names any image, or the column that would has lost the last digits of its ids.
    """
    keys = [_key(name) for name in dataset.info.ids]
    short = [os.path.basename(key) for key in keys]
    known = set(keys) | set(short)
    names = [column(table, id_column, where).name] if id_column else table.colnames
    best: tuple[int, dict[str, list[int]]] = (0, {})
    # A column of floats names images only where no other does: a measurement may be whole by chance.  Of
    # columns that name as many, one called id goes first: numbers of rows look like the names of images.
    for name in sorted(names, key=lambda name: (table[name].dtype.kind == "f", name.casefold() != "id")):
        if table[name].ndim > 1 or (best[0] and table[name].dtype.kind == "f"):
            continue
        rows: dict[str, list[int]] = defaultdict(list)
        for row, value in enumerate(_keys_of(table[name])):
            if value in known or (value := os.path.basename(value)) in known:
                rows[value].append(row)
        if len(rows) > best[0]:
            best = (len(rows), rows)
    _refuse_rounded(table, names, set(keys) | set(short), best[0], where)
    if not best[0]:
        have = f"'{id_column}'" if id_column else f"{', '.join(table.colnames[:8])}"
        raise DataError(
            f"no row of the catalogue names an image (looked in {have}; images are called like '{keys[0]}')",
            where=where,
            hint="name the column with the image's name or file with --id-column",
        )
    return Rows(best[1].get(key) or best[1].get(name) or () for key, name in zip(keys, short))


def _keys_of(values: Any) -> list[str]:
    """The names in a column; a float that is whole and exact is its number, any other names nothing."""
    held = np.ma.asarray(values)
    if held.dtype.kind == "f":
        numbers = np.ma.filled(held.astype(np.float64), np.nan)
        whole = np.isfinite(numbers) & (np.abs(numbers) < _EXACT) & (numbers == np.floor(numbers))
        return [str(int(number)) if good else "" for number, good in zip(numbers, whole)]
    if held.dtype.kind in "cb":
        return [""] * len(held)
    missing = np.ma.getmaskarray(held)
    return ["" if gone else _key(value) for value, gone in zip(held.data, missing)]


def _refuse_rounded(table: Any, names: Sequence[str], known: set[str], n_found: int, where: object) -> None:
    """Refuse a column whose long ids went through float64: more images fit its rounded ids than fit exactly.

    Raises
    ------
    DataError
    """
    rounded = {float(key) for key in known if key.isascii() and key.isdigit() and int(key) >= _EXACT}
    if not rounded:
        return
    for name in names:
        values = _rounded(table[name]) if table[name].ndim == 1 else None
        # Written with few digits (5.87723e+17) such ids are none of the images' even when rounded.
        huge = bool(values) and not n_found and min(map(abs, values)) >= _EXACT
        if not huge and len(rounded.intersection(values or ())) <= n_found:
            continue
        raise DataError(
            f"the ids in the column '{name}' have lost their last digits: they went through floating point, "
            "which holds 15 to 16",
            where=where,
            hint="write the catalogue anew with the ids as whole numbers or as text "
            "(in pandas: read_csv with dtype=str)",
        )


def _rounded(values: Any) -> set[float] | None:
    """Numbers of a column that holds floats, or only whole numbers that a float64 can hold; else None."""
    held = np.ma.asarray(values).compressed() if np.ma.isMaskedArray(values) else np.asarray(values)
    if held.dtype.kind == "f":
        return set(held[np.isfinite(held)].astype(np.float64).tolist())
    if held.dtype.kind in "iu":
        numbers = [int(value) for value in held]
        return {float(value) for value in numbers} if all(int(float(v)) == v for v in numbers) else None
    if held.dtype.kind in "UO":
        words = [word for word in map(str, held) if word.strip()]
        if words and all(_ROUNDED.fullmatch(word.strip()) for word in words):
            return {float(word) for word in words}
        if words and all(word.strip().isdigit() and int(float(word)) == int(word) for word in words):
            return {float(word) for word in words}
    return None


def rows_of(table: Any, rows: Rows | None, path: Path | None) -> Any:
    """Return one catalogue row an image, where every image has exactly one; else None."""
    if path is None or table is None or rows is None:
        return None
    single = rows.single
    return None if single is None else table[single]


def _key(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = text.strip().replace("\\", "/")
    folder, base = os.path.split(text)
    return os.path.join(folder, stem(base)) if "." in base and not base.replace(".", "").isdigit() else text
