"""The classifiers that are compared: what train and adapt left in their folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from galshift.bounds import plain_file
from galshift.data.paths import split_name
from galshift.domains.label_record import LabelRecord, read_label_record
from galshift.domains.splits import SplitRecord, read_splits
from galshift.errors import DataError
from galshift.rundirectory import AUTO, BASELINE, JOINT, SELECTION
from galshift.runs.roles import trained_on
from galshift.training.checkpoint import FILE, Trained, load_checkpoint
from galshift.training.roles import Roles

FINE_TUNED = "fine-tuned"


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
        True when it was trained on images without their labels, of a target.
    roles : Roles
        All that it was trained on.
    learnt : tuple of SplitRecord
        `splits`, and what the run that it started from had learnt.
    label_record : LabelRecord or None
        The galaxies of a target whose labels it learnt beside a source's, if any.
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
    roles: Roles
    learnt: tuple[SplitRecord, ...] = ()
    label_record: LabelRecord | None = None
    given: bool = True
    history: tuple[dict[str, Any], ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[Path, ...] = ()

    @property
    def method(self) -> str:
        """The method as typed."""
        return str(self.trained.meta.get("method", BASELINE))


def open_classifiers(
    runs: Sequence[str],
    *,
    with_baseline: bool = True,
    finished: bool = True,
    networks: Mapping[Path, Trained] | None = None,
) -> list[Classifier]:
    """Open the given runs, and the source-only companion of each adapted one after them.

    With `finished` False a run may still be at work: adapt evaluates its own before it is done.  The
    networks of `networks`, by folder, are in memory already.

    Raises
    ------
    DataError
        When a run is not finished or has no model, or classes differ between runs.
    """
    found: list[Classifier] = []
    companions: list[Classifier] = []
    networks = networks or {}
    for text in runs:
        label, path = split_name(text)
        if not Path(path).is_dir() and Path(path).name != FILE:
            hint = f"give the folder that train or adapt printed, or its {FILE}"
            raise DataError("this is no run of train or adapt", where=path, hint=hint)
        folder = Path(path) if Path(path).is_dir() else Path(path).parent
        classifier = _open(folder, label, finished, networks)
        found.append(classifier)
        if with_baseline and (folder / BASELINE / FILE).is_file():
            companion = _open(folder / BASELINE, None, finished, networks)
            seeds = tuple(p / BASELINE for p in classifier.seeds if (p / BASELINE / FILE).is_file())
            companions.append(replace(companion, given=False, config=classifier.config, seeds=seeds))
    for companion in companions:
        if not any(_same_model(companion, other) for other in found):
            found.append(companion)
    _require_same_classes(found)
    return _named(found)


def beside(classifiers: Sequence[Classifier], others: Sequence[Classifier]) -> list[Classifier]:
    """Return `classifiers` with `others`, which are not among them, behind, and every name once.

    Raises
    ------
    DataError
        When their classes differ.
    """
    found = [*classifiers, *(one for one in others if not any(_same_model(one, own) for own in classifiers))]
    _require_same_classes(found)
    return _named(found)


def load_classifier(path: str | Path) -> Trained:
    """Return the trained network in a file or run directory, for a verb that needs classes or votes for them.

    Raises
    ------
    DataError
        When it cannot be used, or predicts continuous labels.
    """
    trained = load_checkpoint(path)
    require_classes(trained)
    return trained


def require_classes(*networks: Trained) -> None:
    """Raise DataError where one of the networks predicts continuous labels, which are no classes."""
    for trained in networks:
        if not trained.head.has_classes:
            raise DataError(
                f"this network predicts continuous labels ({', '.join(trained.head.names)}), and this needs "
                "classes",
                where=trained.path,
                hint="evaluate, predict, embed and gap take it",
            )


def augmentation_of(classifier: Classifier) -> Mapping[str, Any]:
    """Return the augmentation settings that a classifier was trained with; empty where not recorded."""
    return classifier.config.get("augment", {})


def _open(folder: Path, label: str | None, finished: bool, networks: Mapping[Path, Trained]) -> Classifier:
    from galshift.rundirectory import RunDirectory

    if finished and (folder / "run.json").is_file():
        RunDirectory.load(folder)
    trained = networks.get(folder) or load_checkpoint(folder)
    config, splits = run_config(folder), read_splits(folder)
    roles = trained_on(trained, splits, config)
    called = _called(folder, str(trained.meta.get("method", BASELINE)), roles)
    return Classifier(
        name=label or (f"{AUTO} ({called})" if (folder / SELECTION).is_file() else called),
        path=folder,
        trained=trained,
        splits=splits,
        adapted=roles.adapted,
        roles=roles,
        learnt=tuple(read_splits(folder, before=True).values()),
        label_record=read_label_record(folder),
        history=tuple(_rows(folder / "metrics.jsonl")),
        config=config,
        seeds=tuple(sorted(p for p in folder.glob("seed-*") if (p / FILE).is_file())),
    )


def _called(folder: Path, method: str, roles: Roles) -> str:
    """What a network is called: its method, or where it has none, what it learnt beside a source."""
    if roles.fine_tuned and folder.name != BASELINE:
        return FINE_TUNED
    # A source-only network that began with another run's weights is that still: its labels are the source's.
    joint = any(stage.target_labels is not None for stage in roles.stages)
    return JOINT if method == BASELINE and joint else method


def run_config(folder: Path) -> dict[str, Any]:
    """Return the resolved config of the run in a folder; empty where there is none.

    Raises
    ------
    DataError
        When it is damaged.
    """
    from galshift.plain_yaml import NotPlain, load_plain

    path = folder / "config.yaml"
    if not path.exists():
        return {}
    plain_file(path)
    try:
        found = load_plain(path.read_text(encoding="utf-8"))
    except (NotPlain, UnicodeDecodeError) as error:
        raise DataError("the run's config is damaged", where=path) from error
    if not isinstance(found, dict):
        raise DataError("the run's config is damaged", where=path)
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError):  # a line cut short by a crash; the rest still draws a curve
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
    folders = [c.path.parent.name if c.path.name == BASELINE else c.path.name for c in classifiers]
    return [replace(c, name=name) for c, name in zip(classifiers, distinct(names, folders), strict=True)]


def distinct(names: Sequence[str], details: Sequence[str]) -> list[str]:
    """Return names made unique: a repeated one gets its detail in brackets, or else a number."""
    found: list[str] = []
    for name, detail in zip(names, details, strict=True):
        one, number = name if names.count(name) == 1 else f"{name} ({detail})", 2
        while one in found:
            one, number = f"{name} #{number}", number + 1
        found.append(one)
    return found
