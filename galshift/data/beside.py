"""A catalogue that lies in a folder beside the images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.join import Relabelled, join_rows
from galshift.data.readers._arrays import interpret_labels
from galshift.data.tables import read_table
from galshift.errors import DataError

_SUFFIXES = (".csv", ".ecsv", ".vot", ".parquet")
_LABELS = ("label", "labels", "class", "classes")
_GROUPS = ("group", "galaxy", "group_id", "galaxy_id")
_FILES = ("file", "filename", "path", "gal_filename", "filepath")


@dataclass(frozen=True)
class Beside:
    """A catalogue found in the folder; `hdus` when its rows name files and their HDUs."""

    path: Path
    table: Any
    hdus: bool


def catalog_beside(folder: Path, files: Sequence[Path], described: Sequence[Any] = ()) -> Beside | None:
    """Return the one catalogue of a folder whose rows name its images, or None.

    Text tables in the folder itself are looked at, and FITS files that hold tables only.  Two catalogues that
    both name images are as good as none: the user chooses with ``--labels``.
    """
    with os.scandir(folder) as entries:
        tables = sorted(entry.name for entry in entries if entry.name.lower().endswith(_SUFFIXES))
    candidates = [folder / name for name in tables]
    candidates += [
        file for file, found in zip(files, described) if isinstance(found, str) and "tables" in found
    ]
    names = {file.name for file in files} if candidates else set()
    fitting = []
    for candidate in candidates[:16]:
        try:
            table = read_table(candidate)
        except DataError:
            continue
        by_name = {name.casefold(): name for name in table.colnames}
        file_column = next((by_name[name] for name in _FILES if name in by_name), None)
        named = set() if file_column is None else {Path(str(v).strip()).name for v in table[file_column]}
        hdus = bool(named & names) and any(name in by_name for name in ("hdu", "gal_hdu"))
        if hdus or candidate.name.lower().endswith(_SUFFIXES):
            fitting.append(Beside(candidate, table, hdus))
    with_hdus = [found for found in fitting if found.hdus]
    chosen = with_hdus or fitting
    return chosen[0] if len(chosen) == 1 else None


def catalog_named(labels: str | None) -> bool:
    """Return whether ``--labels`` names a catalogue, rather than a column or nothing."""
    return labels is not None and Path(labels).exists()


def attach(dataset: Dataset, beside: Beside) -> Dataset:
    """Return `dataset` with the rows of the catalogue, its groups and its labels, where they fit the images.

    The catalogue is left alone when it does not have exactly one row for every image.
    """
    try:
        join = join_rows(dataset, beside.table, None, beside.path)
    except DataError:
        return dataset
    rows = join.single
    if rows is None:
        return dataset
    table = beside.table[rows]
    by_name = {name.casefold(): name for name in table.colnames}
    label, group = (next((by_name[n] for n in words if n in by_name), None) for words in (_LABELS, _GROUPS))
    labels, classes = dataset.info.labels, dataset.info.classes
    if label is not None and labels is None:
        labels, classes = _labels(np.ma.asarray(table[label]), len(dataset), beside.path)
    groups = None if group is None else np.asarray([str(value) for value in table[group]])
    own = table.meta.get("galshift") if isinstance(table.meta, dict) else None
    groups_from = own.get("groups_from") if group is not None and isinstance(own, dict) else None
    ids = None
    if "id" in by_name and any(name in by_name for name in _FILES):
        # File names are what an id became on disk; the catalogue has the id itself.
        ids = np.asarray([str(value) for value in table[by_name["id"]]])
        ids = ids if len(set(ids.tolist())) == len(ids) else None
    return Relabelled(
        dataset,
        np.arange(len(dataset)),
        labels,
        classes,
        table=table,
        groups=groups,
        groups_from=groups_from,
        ids=ids,
        notes=[f"joined with {beside.path.name}"],
    )


def _labels(values: Any, n: int, path: Path) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return labels of a column; an empty name is no label."""
    if values.dtype.kind not in "USO":
        return interpret_labels(np.ma.filled(values, -1) if values.dtype.kind in "iu" else values, n, path)
    names = np.asarray([str(v) for v in np.ma.filled(values, "")])
    classes = tuple(sorted(set(names[names != ""].tolist())))
    index = {name: k for k, name in enumerate(classes)}
    return np.asarray([index.get(name, -1) for name in names], dtype=np.int64), classes
