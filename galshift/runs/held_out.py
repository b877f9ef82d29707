"""What a run never trained on: held-out images of its source with answers, and unseen galaxies of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.domains.label_record import read_label_record
from galshift.domains.splits import SplitRecord, absolute, read_splits, split_column
from galshift.domains.target_labels import TRAINED
from galshift.errors import DataError
from galshift.evaluation.count_unlabelled import Outputs
from galshift.rundirectory import BASELINE
from galshift.runs.answers import Answers, answer
from galshift.runs.test_sets import matched_labels
from galshift.spread import HERE, Engine
from galshift.training.checkpoint import Trained

# Columns of a file of galaxies to label: how probable each was to be drawn, and from among which.
PROBABILITY, STRATUM = "inclusion_probability", "stratum"


def first_images(groups: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the first `usable` (N,) image of each galaxy of `groups` (N,), in the order of their names."""
    rows = np.flatnonzero(usable)
    return rows[np.unique(np.asarray(groups)[rows], return_index=True)[1]]


def unseen_galaxies(trained: Trained, dataset: Dataset, path: str) -> np.ndarray:
    """Return which images (N,) of `dataset` are of galaxies that the run neither trained on nor adapted to.

    Parameters
    ----------
    trained : Trained
    dataset : Dataset
        That at `path`.
    path : str
    """
    part, groups = parts_of_images(trained, dataset, path), np.asarray(dataset.info.groups)
    return ~np.isin(groups, groups[(part != "") & (part != "test")])


def parts_of_images(trained: Trained, dataset: Dataset, path: str) -> np.ndarray:
    """Return the part (N,) that each image of `dataset` had in the run's training, empty where it had none.

    Parameters
    ----------
    trained : Trained
    dataset : Dataset
        That at `path`, or a part of it.
    path : str
    """
    splits, place = splits_of(trained, before=True), absolute(path)
    part = split_column(dataset.info.ids, splits, place)
    record = read_label_record(trained.path.parent)
    # In the run's own target the names of the images say it; a copy, and the source, may have others.
    if record is not None and ("target" not in splits or splits["target"].path != place):
        shown = record.shown_in(dataset, np.arange(len(dataset)))
        part = np.where(shown & (part != "train"), TRAINED, part)
    return part


def splits_of(trained: Trained, *, before: bool = False) -> dict[str, SplitRecord]:
    """Return which images a network's run used, by domain; of a companion they stand in its run's folder.

    With `before` also those that the run that it started from had learnt.
    """
    folder = trained.path.parent
    found = read_splits(folder, before=before)
    return found or (read_splits(folder.parent, before=before) if folder.name == BASELINE else {})


def source_outputs(
    trained: Trained, device: str, *, parts: Sequence[str] = ("valid", "test"), engine: Engine = HERE
) -> Outputs:
    """Return what the network gives for held-out images of its source, with their labels.

    Parameters
    ----------
    trained : Trained
    device : str
    parts : sequence of str
        Of the source: ``valid``, by which epochs were chosen, and ``test``.
    engine : Engine

    Raises
    ------
    DataError
        When the run has no record of such images, or they are gone.
    """
    record = splits_of(trained).get("source")
    wanted = [part for part in parts if record is not None and record.parts.get(part)]
    if record is None or not wanted:
        raise DataError(
            "this run keeps no record of held-out images of its source", where=trained.path.parent
        )
    dataset = record.open()
    rows = np.sort(np.concatenate([record.rows(dataset, part) for part in wanted]))
    found = answer(trained, dataset, rows, device=device, label="held-out source", engine=engine)
    labels, _ = matched_labels(dataset, rows, trained.classes)
    known = found.usable & (labels >= 0)
    if not known.any():
        raise DataError("no held-out image of the run's source has a label", where=record.path)
    return outputs_of(found, dataset.info.groups[rows], known, labels)


def outputs_of(
    answers: Answers, groups: np.ndarray, rows: np.ndarray, labels: np.ndarray | None = None
) -> Outputs:
    """Return what the network gave for images at `rows` (n,), as counts and thresholds take it.

    `groups` and `labels` are (N,), as `answers` are of N images.
    """
    logits, features = answers.outputs.logits[rows], answers.features[rows]
    return Outputs(
        logits.astype(np.float64),
        np.asarray(groups)[rows],
        features.astype(np.float64) if features.shape[1] else None,
        None if labels is None else labels[rows],
    )
