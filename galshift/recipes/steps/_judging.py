"""What evaluate judges: classifiers, and the images that none of them trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.open import ReadOptions, open_dataset
from galshift.errors import DataError, GalshiftError, did_you_mean
from galshift.recipes.inputs import split_name
from galshift.recipes.steps._auto import AUTO, RECORD
from galshift.recipes.steps._number_truth import numbered_options, truth_of
from galshift.recipes.steps._splits import SplitRecord, absolute, read_splits
from galshift.training.checkpoint import FILE, Trained, load_checkpoint

if TYPE_CHECKING:
    from galshift.training.heads import Head

BASELINE = "source-only"


@dataclass(frozen=True)
class Classifier:
    """One trained model among those compared.

    Attributes
    ----------
    name : str
        Unique and short: its method, or the run's folder where methods repeat.
    path : Path
        Folder of its checkpoint.
    trained : Trained
    splits : dict of str to SplitRecord
        What it trained on, by domain.
    adapted : bool
        True when its method used the target.
    given : bool
        False for the source-only companion of an adapted run, which was not asked for by name.
    history : tuple of dict
        Rows of its ``metrics.jsonl``.
    config : dict
        The resolved config of its run; empty where there is none.
    seeds : tuple of Path
        Folders of the same training with other seeds.
    """

    name: str
    path: Path
    trained: Trained
    splits: dict[str, SplitRecord]
    adapted: bool
    given: bool = True
    history: tuple[dict[str, Any], ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[Path, ...] = ()

    @property
    def method(self) -> str:
        """The method as typed."""
        return str(self.trained.meta.get("method", BASELINE))


@dataclass(frozen=True)
class JudgedSet:
    """Images on which every classifier is judged.

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


def open_classifiers(
    runs: Sequence[str], *, with_baseline: bool = True, finished: bool = True, values: bool = False
) -> list[Classifier]:
    """Open the given runs, and the source-only companion of each adapted one after them.

    With `finished` False a run may still be at work: adapt judges its own before it is done.  With `values`
    networks for continuous labels will do.

    Raises
    ------
    DataError
        When a run is not finished or has no model, or classes differ between runs.
    """
    found: list[Classifier] = []
    companions: list[Classifier] = []
    for text in runs:
        label, path = split_name(text)
        if not Path(path).is_dir() and Path(path).name != FILE:
            hint = f"give the folder that train or adapt printed, or its {FILE}"
            raise DataError("this is no run of train or adapt", where=path, hint=hint)
        folder = Path(path) if Path(path).is_dir() else Path(path).parent
        classifier = _open(folder, label, finished, values)
        found.append(classifier)
        if with_baseline and (folder / BASELINE / FILE).is_file():
            companion = _open(folder / BASELINE, None, finished, values)
            seeds = tuple(p / BASELINE for p in classifier.seeds if (p / BASELINE / FILE).is_file())
            companions.append(replace(companion, given=False, config=classifier.config, seeds=seeds))
    for companion in companions:
        if not any(_same_model(companion, other) for other in found):
            found.append(companion)
    _require_same_classes(found)
    return _named(found)


def open_judged(
    classifiers: Sequence[Classifier], on: Sequence[str], read: ReadOptions, classes: Sequence[str]
) -> list[JudgedSet]:
    """Open the named data sets, or without any the parts that no classifier trained on.

    Raises
    ------
    DataError
        When nothing is left to judge on.
    """
    if on:
        judged = [_named_set(text, read, classifiers, classes) for text in on]
    else:
        judged = [
            made for role in ("source", "target") for made in _held_out(role, classifiers, classes, read)
        ]
    if not judged:
        raise DataError("these runs keep no record of held-out images", hint="name data sets with --on")
    return _unique(judged)


def aligned(probabilities: np.ndarray, trained: Trained, classes: Sequence[str]) -> np.ndarray:
    """Return (N, K) columns in the order of `classes`."""
    order = [trained.classes.index(name) for name in classes]
    return probabilities[:, order]


def matched_labels(
    dataset: Dataset, rows: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Return labels as indices into `classes`, -1 where unknown, and what was left out in plain words.

    Classes are matched by name.  A data set whose labels have no names keeps its numbers.
    """
    from galshift.evaluation.metrics import hard_labels

    info = dataset.info
    labels = None if info.labels is None else np.asarray(info.labels)[rows]
    labels = hard_labels(labels, len(rows))
    if not info.classes:
        return np.where(labels < len(classes), labels, -1), []
    known = {name: index for index, name in enumerate(classes)}
    table = np.array([*(known.get(name, -1) for name in info.classes), -1])
    mapped = table[labels]
    notes = []
    foreign = [name for name in info.classes if name not in known]
    lost = int(((labels >= 0) & (mapped < 0)).sum())
    if lost:
        hint = did_you_mean(foreign[0], classes)
        notes.append(
            f"{lost} images of {dataset.name} have classes that the model does not know "
            f"({', '.join(foreign)}); they count as unlabelled ({hint})."
        )
    return mapped, notes


def _open(folder: Path, label: str | None, finished: bool, values: bool = False) -> Classifier:
    import yaml

    from galshift.methods import METHODS
    from galshift.rundirectory import RunDirectory

    if finished and (folder / "run.json").is_file():
        RunDirectory.load(folder)
    trained = load_checkpoint(folder, values=values)
    config = folder / "config.yaml"
    method = str(trained.meta.get("method", BASELINE))
    try:
        adapted = bool(METHODS.get(method).uses_target)
    except GalshiftError:
        adapted = "target" in read_splits(folder)
    return Classifier(
        name=label or (f"{AUTO} ({method})" if (folder / RECORD).is_file() else method),
        path=folder,
        trained=trained,
        splits=read_splits(folder),
        adapted=adapted,
        history=tuple(_rows(folder / "metrics.jsonl")),
        config=yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {},
        seeds=tuple(sorted(p for p in folder.glob("seed-*") if (p / FILE).is_file())),
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # a line cut short by a crash; the rest still draws a curve
            continue
    return [row for row in rows if isinstance(row, dict) and "epoch" in row]


def _same_model(one: Classifier, other: Classifier) -> bool:
    return one.path.resolve() == other.path.resolve()


def _require_same_classes(classifiers: Sequence[Classifier]) -> None:
    first = classifiers[0].trained
    for other in classifiers[1:]:
        if other.trained.head.kind != first.head.kind:
            raise DataError(
                "runs with other kinds of labels cannot be compared: "
                f"{first.head.kind} against {other.trained.head.kind}",
                where=other.path,
                hint="evaluate them apart",
            )
        if set(other.trained.classes) != set(first.classes):
            raise DataError(
                f"runs with other classes cannot be compared: {', '.join(first.classes)} against "
                f"{', '.join(other.trained.classes)}",
                where=other.path,
                hint="evaluate them apart",
            )


def _named(classifiers: Sequence[Classifier]) -> list[Classifier]:
    """Make names unique: a repeated method gets its run's folder, then a number."""
    names = [c.name for c in classifiers]
    taken: set[str] = set()
    out = []
    for c in classifiers:
        name = c.name
        if names.count(name) > 1:
            folder = c.path.parent.name if c.path.name == BASELINE else c.path.name
            name = f"{name} ({folder})"
        number = 2
        while name in taken:
            name = f"{c.name} #{number}"
            number += 1
        taken.add(name)
        out.append(replace(c, name=name))
    return out


def _held_out(
    role: str, classifiers: Sequence[Classifier], classes: Sequence[str], read: ReadOptions
) -> list[JudgedSet]:
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
        kept, notes = _unseen(dataset, rows, path, classifiers)
        left_out = len(record.parts["test"]) - len(rows)
        if left_out:
            notes = [
                *notes,
                f"{left_out} of {len(record.parts['test'])} test images of {dataset.name} are left out by "
                "the labels that are given now.",
            ]
        if not len(kept):
            raise DataError(
                "these runs leave no image of this data set that none of them trained on",
                where=path,
                hint="give the runs the same --seed, or name data sets with --on",
            )
        head = classifiers[0].trained.head
        labels, unknown, truth = _judged_labels(dataset, kept, classes, head, options)
        notes = (*notes, *unknown)
        found.append(JudgedSet(dataset.name, role, "test", dataset, kept, labels, notes, truth))
    return found


def _named_set(
    text: str, read: ReadOptions, classifiers: Sequence[Classifier], classes: Sequence[str]
) -> JudgedSet:
    label, path = split_name(text)
    head = classifiers[0].trained.head
    dataset = open_dataset(path, numbered_options(read, head))
    rows, notes = _unseen(dataset, np.arange(len(dataset)), absolute(path), classifiers)
    if not len(rows):
        raise DataError("every image of this data set was trained on", where=path)
    labels, more, truth = _judged_labels(dataset, rows, classes, head, read)
    return JudgedSet(label or dataset.name, "given", "all", dataset, rows, labels, (*notes, *more), truth)


def _judged_labels(
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
    for record in (r for c in classifiers for r in c.splits.values() if r.path == path):
        used = {i for part, names in record.parts.items() if part != "test" for i in names}
        seen |= np.fromiter((i in used for i in ids), dtype=bool, count=len(ids))
    galaxies = set(np.asarray(dataset.info.groups)[seen])
    kept = np.array([r for r in rows if dataset.info.groups[r] not in galaxies], dtype=int)
    left_out = len(rows) - len(kept)
    notes = (
        [f"{left_out} images of {dataset.name} were left out: a run had trained on them."] if left_out else []
    )
    return kept, notes


def _unique(judged: Sequence[JudgedSet]) -> list[JudgedSet]:
    """Make names unique: by role where that is enough, then by number."""
    names = [j.name for j in judged]
    out, taken = [], set()
    for j in judged:
        name = j.name if names.count(j.name) == 1 else f"{j.name} ({j.role})"
        number = 2
        while name in taken:
            name = f"{j.name} #{number}"
            number += 1
        taken.add(name)
        out.append(replace(j, name=name))
    return out


def augmentation_of(classifier: Classifier) -> Mapping[str, Any]:
    """Return the augmentation settings that a classifier was trained with; empty where not recorded."""
    return classifier.config.get("augment", {})
