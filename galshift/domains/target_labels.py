"""Labels of a few galaxies of the target: read, joined to its images, and set aside from all that judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import DataInfo, Dataset
from galshift.data.identity import same_galaxies
from galshift.data.join import Relabelled, join_rows
from galshift.data.labels import label_column
from galshift.data.no_label import labels_of_words
from galshift.data.numeric_labels import numbers, vote_counts
from galshift.data.options import ReadOptions, mapped
from galshift.data.tables import column, read_table
from galshift.domains.domain import Domain
from galshift.domains.label_record import LabelRecord, pixel_keys
from galshift.errors import DataError, did_you_mean

# The part of the target whose labels were trained on, as splits.json and the column `split` call it.
TRAINED = "trained"


@dataclass(frozen=True)
class TargetLabels:
    """Labels that join an adaptation.

    Attributes
    ----------
    file : Path
    rows : ndarray
        (k,) row numbers of the target.
    labels : ndarray
        (n,) int64 in the classes of the source, -1 for all but `rows`; or (n, L) float32, NaN for them.
    classes : tuple of str
        Of the source, in its order; or the names of its continuous labels.
    """

    file: Path
    rows: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def domain(self, target: Domain) -> Domain:
        """Return the labelled images of `target` as a domain to train on, the part ``train`` of it."""
        info, everything = target.info, np.arange(len(target.dataset))
        seen = Relabelled(target.dataset, everything, self.labels, self.classes, table=info.table)
        return Domain(seen, {"train": self.rows})

    def counts(self) -> dict[str, int]:
        """Return the labelled images of each class, or, of numbers, of all."""
        chosen = self.labels[self.rows]
        if chosen.ndim > 1:
            return {"labelled": len(chosen)}
        return {name: int((chosen == k).sum()) for k, name in enumerate(self.classes)}

    def record(self, target: Domain) -> LabelRecord:
        """Return what a run says of the galaxies whose labels trained it."""
        info = target.info
        chosen = self.labels[self.rows]
        named = [self.classes[k] for k in chosen] if chosen.ndim == 1 else chosen.tolist()
        return LabelRecord(
            data=target.dataset.name,
            file=self.file.name,
            names=self.classes,
            ids=tuple(map(str, info.ids[self.rows])),
            labels=tuple(named),
            groups=tuple(map(str, info.groups[self.rows])),
            groups_from=info.groups_from,
            pixels=tuple(map(str, pixel_keys(target.dataset, self.rows))),
        )


def read_target_labels(file: str, target: Dataset, source: DataInfo, read: ReadOptions) -> TargetLabels:
    """Return the labels in a catalogue of a few images of `target`.

    A row without a label (a cell that is not filled in yet) says nothing.

    Parameters
    ----------
    file : str
        With a column of image names, called ``id`` where it has one, and a column of classes (``label``), or
        columns called as the source's continuous labels or votes.
    target : Dataset
    source : DataInfo
        Whose classes are to be learnt.
    read : ReadOptions
        How the source was read: its kind of labels, and the new names of its classes.

    Raises
    ------
    DataError
        When there is no such file or column, no label in it, a name that is of no image, a class that the
        source does not have, or two labels of one image.
    """
    path = Path(file)
    if not path.is_file():
        raise DataError("there is no such file of target labels", where=file, hint="a CSV with id and label")
    table = read_table(path)
    if not len(table):
        raise DataError("the file of target labels is empty", where=file, hint="one row a galaxy: id,label")
    names = [name for name in table.colnames if name.casefold() == "id"]
    joined = join_rows(target, table, names[0] if names else None, path)
    if source.labels is not None and np.asarray(source.labels).dtype.kind == "f":
        values = _numbers(table, source, read, path)
        filled = np.isfinite(values).all(axis=1)
    else:
        values = _classes(table, source, read, path)
        filled = values >= 0
    if not filled.any():
        raise DataError("no row of the file of target labels has a label", where=file, hint="fill it in")
    _refuse_unknown(table, names, joined, filled, path)
    return _joined(path, target, source, joined, values, filled)


def _classes(table: Any, source: DataInfo, read: ReadOptions, path: Path) -> np.ndarray:
    """The class of each row of the table as a number of the source's, -1 without."""
    held = np.ma.asarray(column(table, label_column(table, path), path))
    gone = np.ma.getmaskarray(held)
    words = ["" if missing else str(word).strip() for word, missing in zip(held.data, gone, strict=True)]
    words, _ = labels_of_words(words, (*read.classes_map, *source.classes))
    words = [word if word in source.classes else mapped(word, read.classes_map) for word in words]
    foreign = sorted({word for word in words if word} - set(source.classes))
    if foreign:
        raise DataError(
            f"the source has no class '{foreign[0]}', only {', '.join(source.classes)}",
            where=path,
            hint=did_you_mean(foreign[0], source.classes),
        )
    return np.array([source.classes.index(word) if word else -1 for word in words])


def _numbers(table: Any, source: DataInfo, read: ReadOptions, path: Path) -> np.ndarray:
    """The numbers of each row of the table, (R, L), NaN without."""
    values = numbers(table, source.classes, path)
    if read.label_kind != "votes":
        return values
    total = read.vote_total
    if isinstance(total, str):
        total = numbers(table, (total,), path)[:, 0] if total in table.colnames else None
    return vote_counts(values, total)


def _refuse_unknown(
    table: Any, names: Sequence[str], joined: Sequence[Sequence[int]], filled: np.ndarray, path: Path
) -> None:
    """Refuse labels of images that the target does not have."""
    found = {row for here in joined for row in here}
    lost = [row for row in np.flatnonzero(filled) if row not in found]
    if lost:
        named = [str(table[names[0] if names else table.colnames[0]][row]) for row in lost[:3]]
        raise DataError(
            f"{len(lost)} of {int(filled.sum())} labels are of no image of the target: "
            f"{', '.join(named)}{', ...' if len(lost) > 3 else ''}",
            where=path,
            hint="ids are those that galshift predict or suggest writes",
        )


def _joined(
    path: Path,
    target: Dataset,
    source: DataInfo,
    joined: Sequence[Sequence[int]],
    values: np.ndarray,
    filled: np.ndarray,
) -> TargetLabels:
    """Give every image the label of its rows, which must agree."""
    n = len(target)
    shape, blank = ((n,), -1) if values.ndim == 1 else ((n, values.shape[1]), np.nan)
    labels = np.full(shape, blank, dtype=np.int64 if values.ndim == 1 else np.float32)
    rows = []
    for image, here in enumerate(joined):
        known = [row for row in here if filled[row]]
        if not known:
            continue
        if any(not np.array_equal(values[row], values[known[0]]) for row in known[1:]):
            raise DataError(
                f"the image '{target.info.ids[image]}' has two different labels", where=path, hint="keep one"
            )
        labels[image] = values[known[0]]
        rows.append(image)
    return TargetLabels(path, np.array(rows), labels, tuple(source.classes))


def set_aside(found: TargetLabels, target: Domain, source: Domain) -> tuple[Domain, Domain, list[str]]:
    """Return target and source with every galaxy of these labels out of all parts that judge, and what left.

    With a galaxy go all its images, copies of them under other names, and the same galaxy in the source's
    validation and test parts.  In the target its images are trained on.

    Parameters
    ----------
    found : TargetLabels
    target, source : Domain
        As they are split without labels.

    Raises
    ------
    DataError
        When a part would be left without a galaxy.
    """
    groups = np.asarray(target.info.groups).astype(str)
    keys = set(pixel_keys(target.dataset, found.rows)) - {""}
    test = target.parts["test"]
    copies = np.isin(pixel_keys(target.dataset, test), list(keys))
    taught = np.union1d(groups[found.rows], groups[test[copies]])
    moved = np.isin(groups[test], taught)
    mine = np.flatnonzero(np.isin(groups, taught))
    parts = {
        **{part: rows[~np.isin(groups[rows], taught)] for part, rows in target.parts.items()},
        "train": np.union1d(target.parts["train"], mine),
        TRAINED: found.rows,
    }
    source, n_source = _out_of_source(source, target, mine, keys)
    if not len(parts["test"]):
        raise DataError(
            "every galaxy of the target's test part has a label for training, and none is left to judge by",
            where=found.file,
            hint="label fewer of them, or a larger test part: --set split.test=0.5",
        )
    notes = []
    if moved.any():
        n = len(np.unique(groups[test[moved]]))
        notes.append(
            f"{n} galaxies of the target's test part have a label for training and left it: unless they were "
            "chosen at random, what is left is no random part of the target."
        )
    if n_source:
        notes.append(
            f"{n_source} images of the source's validation and test parts show a galaxy whose target label "
            "is trained on, and were left out."
        )
    return replace(target, parts=parts), source, notes


def _out_of_source(source: Domain, target: Domain, rows: np.ndarray, keys: set[str]) -> tuple[Domain, int]:
    """The source without the galaxies at `rows` of the target in what judges, and how many images left."""
    groups = np.asarray(source.info.groups).astype(str)
    shared = set(same_galaxies(source.dataset, target.dataset)[rows]) - {""}
    parts, n = dict(source.parts), 0
    for part in ("valid", "test"):
        own = parts[part]
        gone = np.isin(groups[own], list(shared))
        if source.observe is None:  # what a survey shows of a noise-free galaxy is no copy of anything
            gone |= np.isin(pixel_keys(source.dataset, own), list(keys))
        gone = np.isin(groups[own], groups[own[gone]])
        if len(own) and gone.all():
            raise DataError(
                f"no galaxy of the source is left for its {part} part: all have a target label",
                where=source.dataset.path,
                hint="label fewer of them",
            )
        parts[part], n = own[~gone], n + int(gone.sum())
    return replace(source, parts=parts), n
