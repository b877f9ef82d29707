"""The images that classifiers are evaluated on: those that none of them trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.open import ReadOptions
from galshift.data.paths import split_name
from galshift.domains.splits import absolute
from galshift.errors import DataError, did_you_mean
from galshift.evaluation.classes import hard_labels
from galshift.runs.classifiers import Classifier, distinct
from galshift.runs.known_data import open_for
from galshift.runs.truth import numbered_options, truth_of
from galshift.training.checkpoint import Trained

if TYPE_CHECKING:
    from galshift.training.heads import Head


@dataclass(frozen=True)
class TestSet:
    """Images on which every classifier is evaluated.

    Attributes
    ----------
    name : str
    role : str
        ``source``, ``target`` or ``given``.
    split : str
        ``test``, or ``all`` for a data set that was named.
    dataset : Dataset
    rows : ndarray
        Row numbers in `dataset`.
    labels : ndarray
        (N,) in the classifiers' classes, -1 where unknown; of votes the winner, of continuous labels 0.
    truth : ndarray or None
        (N, L) continuous labels or (N, K) votes, NaN where unknown; None for classes.
    notes : tuple of str
        What was left out, in plain words.
    """

    name: str
    role: str
    split: str
    dataset: Dataset
    rows: np.ndarray
    labels: np.ndarray
    notes: tuple[str, ...] = ()
    truth: np.ndarray | None = None
    __test__: ClassVar[bool] = False  # no test class, whatever pytest makes of the name

    @property
    def groups(self) -> np.ndarray:
        """(N,) the galaxy of each image."""
        return self.dataset.info.groups[self.rows]

    @property
    def ids(self) -> np.ndarray:
        """(N,) image names."""
        return self.dataset.info.ids[self.rows]

    @property
    def labelled(self) -> bool:
        """True when at least one image has a label."""
        return bool((self.labels >= 0).any())


def open_test_sets(
    classifiers: Sequence[Classifier], on: Sequence[str], read: ReadOptions, classes: Sequence[str]
) -> list[TestSet]:
    """Open the named data sets, or without any the parts that no classifier trained on.

    Raises
    ------
    DataError
        When nothing is left to evaluate on.
    """
    if on:
        sets = [_named_set(text, read, classifiers, classes) for text in on]
    else:
        sets = [made for role in ("source", "target") for made in _held_out(role, classifiers, classes, read)]
    if not sets:
        raise DataError("these runs keep no record of held-out images", hint="name data sets with --on")
    return _unique(sets)


def aligned(probabilities: np.ndarray, trained: Trained, classes: Sequence[str]) -> np.ndarray:
    """Return (N, K) columns in the order of `classes`."""
    order = [trained.classes.index(name) for name in classes]
    return probabilities[:, order]


def matched_labels(
    dataset: Dataset, rows: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Return labels (n,) as indices into `classes`, -1 where unknown, and in words what was left out.

    Classes are matched by name, and names that are numbers by their value: a column of 0 and 1 in which some
    are missing becomes one of 0.0 and 1.0.  A data set whose labels have no names keeps its numbers.
    """
    info = dataset.info
    labels = None if info.labels is None else np.asarray(info.labels)[rows]
    labels = hard_labels(labels, len(rows))
    if not info.classes:
        return np.where(labels < len(classes), labels, -1), []
    known = {_value(name): index for index, name in enumerate(classes)}
    known |= {name: index for index, name in enumerate(classes)}
    table = np.array([*(known.get(name, known.get(_value(name), -1)) for name in info.classes), -1])
    mapped = table[labels]
    notes = []
    foreign = [name for name, index in zip(info.classes, table) if index < 0]
    lost = int(((labels >= 0) & (mapped < 0)).sum())
    if lost:
        hint = did_you_mean(foreign[0], classes)
        notes.append(
            f"{lost} images of {dataset.name} have classes that the model does not know "
            f"({', '.join(foreign)}); they count as unlabelled ({hint})."
        )
    return mapped, notes


def _value(name: str) -> str:
    """Return the name of a class without the zeros behind the point of a whole number."""
    return re.sub(r"^(-?\d+)\.0*$", r"\1", name)


def _held_out(
    role: str, classifiers: Sequence[Classifier], classes: Sequence[str], read: ReadOptions
) -> list[TestSet]:
    """Return one set for each data set that is `role` of a run, less what any classifier trained on."""
    records = {c.splits[role].path: c.splits[role] for c in classifiers if role in c.splits}
    found = []
    for path, record in records.items():
        # Labels that adaptation had no business to know may be given now, for the target.
        given = read.model_dump(exclude_defaults=True) if role == "target" else {}
        options = ReadOptions(**{**record.read.model_dump(exclude_defaults=True), **given})
        options = numbered_options(options, classifiers[0].trained.head)
        dataset = record.open(options)
        rows = record.rows(dataset, "test", all_there=not given)
        unseen, notes = _unseen(dataset, rows, path, classifiers)
        left_out = len(record.parts["test"]) - len(rows)
        if left_out:
            notes = [
                *notes,
                f"{left_out} of {len(record.parts['test'])} test images of {dataset.name} are left out by "
                "the labels that are given now.",
            ]
        if not len(unseen):
            raise DataError(
                "these runs leave no image of this data set that none of them trained on",
                where=path,
                hint="give the runs the same --seed, or name data sets with --on",
            )
        head = classifiers[0].trained.head
        labels, unknown, truth = _labels(dataset, unseen, classes, head, options)
        notes = (*notes, *unknown)
        found.append(TestSet(dataset.name, role, "test", dataset, unseen, labels, notes, truth))
    return found


def _named_set(
    text: str, read: ReadOptions, classifiers: Sequence[Classifier], classes: Sequence[str]
) -> TestSet:
    label, path = split_name(text)
    head = classifiers[0].trained.head
    opened = open_for(classifiers[0].trained, path, read)
    dataset, read = opened.dataset, opened.read
    rows, notes = _unseen(dataset, np.arange(len(dataset)), absolute(path), classifiers)
    if not len(rows):
        raise DataError("every image of this data set was trained on", where=path)
    labels, more, truth = _labels(dataset, rows, classes, head, read)
    notes = (*opened.notes, *notes, *more)
    return TestSet(label or dataset.name, "given", "all", dataset, rows, labels, notes, truth)


def _labels(
    dataset: Dataset, rows: np.ndarray, classes: Sequence[str], head: Head, read: ReadOptions
) -> tuple[np.ndarray, list[str], np.ndarray | None]:
    """Class labels, what was left out of them, and the numbers where the labels are numbers."""
    if head.kind == "class":
        return *matched_labels(dataset, rows, classes), None
    truth = truth_of(dataset, head, read)[rows]
    known = np.isfinite(truth).all(axis=1)
    first = np.nan_to_num(truth).argmax(axis=1) if head.kind == "votes" else np.zeros(len(rows), dtype=int)
    return np.where(known, first, -1), [], truth


def _unseen(
    dataset: Dataset, rows: np.ndarray, path: str, classifiers: Sequence[Classifier]
) -> tuple[np.ndarray, list[str]]:
    """Drop the galaxies of `rows` that a classifier trained on or chose its epoch by."""
    ids = np.asarray(dataset.info.ids).astype(str)
    seen = np.zeros(len(ids), dtype=bool)
    for record in (r for c in classifiers for r in (*c.splits.values(), *c.learnt) if r.path == path):
        used = {i for part, names in record.parts.items() if part != "test" for i in names}
        seen |= np.fromiter((i in used for i in ids), dtype=bool, count=len(ids))
    for c in classifiers:
        # In the run's own target their names say it; a copy, and the source, may have others.
        if c.label_record is not None and ("target" not in c.splits or c.splits["target"].path != path):
            seen[rows] |= c.label_record.shown_in(dataset, rows)
    galaxies = set(np.asarray(dataset.info.groups)[seen])
    unseen = np.array([r for r in rows if dataset.info.groups[r] not in galaxies], dtype=int)
    left_out = len(rows) - len(unseen)
    notes = (
        [f"{left_out} images of {dataset.name} were left out: a run had trained on them."] if left_out else []
    )
    return unseen, notes


def _unique(sets: Sequence[TestSet]) -> list[TestSet]:
    """Make names unique: by role where that is enough, then by number."""
    names = distinct([s.name for s in sets], [s.role for s in sets])
    return [replace(s, name=name) for s, name in zip(sets, names, strict=True)]
