"""The galaxies that are counted: one answer each, their labels if any, and the bins that they fall in."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.paths import split_name
from galshift.domains.target_labels import TRAINED
from galshift.errors import DataError, did_you_mean
from galshift.evaluation.classes import hard_labels
from galshift.evaluation.count_unlabelled import Outputs
from galshift.runs.answers import Answers, answer
from galshift.runs.held_out import first_images, outputs_of, parts_of_images
from galshift.runs.known_data import open_for
from galshift.runs.test_sets import matched_labels
from galshift.spread import Engine
from galshift.training.checkpoint import Trained
from galshift.verbs.count.config import CountConfig

NO_LABEL = -1
_QUANTILES = 4  # bins, unless the user says
_KINDS = 30  # different words of a column, at most


@dataclass(frozen=True)
class Galaxies:
    """N galaxies with an answer, each by its first image that has one.

    Attributes
    ----------
    name, path : str
    dataset : Dataset
    rows : ndarray
        (N,) that image.
    answers : Answers
        Of all images.
    labels : ndarray
        (N,) in the network's classes, K for a class that it does not know, -1 without a label.
    unseen : ndarray
        (N,) bool: the run neither trained on nor adapted to it.
    n_unanswered : int
        Galaxies without an answer, which are not counted.
    notes : tuple of str
    """

    name: str
    path: str
    dataset: Dataset
    rows: np.ndarray
    answers: Answers
    labels: np.ndarray
    unseen: np.ndarray
    n_unanswered: int
    notes: tuple[str, ...]

    @property
    def probabilities(self) -> np.ndarray:
        """(N, K)."""
        return self.answers.centre[self.rows]

    @property
    def ids(self) -> np.ndarray:
        """(N,) of the galaxies: their groups."""
        return np.asarray(self.dataset.info.groups[self.rows]).astype(str)

    def outputs(self, chosen: np.ndarray) -> Outputs:
        """Return what the network gave for the galaxies at `chosen`."""
        return outputs_of(self.answers, self.dataset.info.groups, self.rows[chosen])


def open_galaxies(config: CountConfig, trained: Trained, device: str, engine: Engine) -> Galaxies:
    """Classify the data set of `config`; labels are read where ``--labels`` names them.

    Raises
    ------
    DataError
        When it does not fit the model, or not one of its images gives an answer.
    """
    label, path = split_name(config.data)
    opened = open_for(trained, path, config.read)
    dataset = opened.dataset
    name = label or dataset.name
    found = answer(trained, dataset, device=device, label=f"classify {name}", engine=engine)
    groups = np.asarray(dataset.info.groups)
    part = parts_of_images(trained, dataset, path)
    taught = np.isin(groups, groups[part == TRAINED])
    rows = np.sort(first_images(groups, found.usable & ~taught))
    labels, notes = np.full(len(rows), NO_LABEL), []
    if config.read.labels is not None:
        labels, notes = _labels(dataset, rows, trained)
    if taught.any():
        notes = [
            *notes,
            f"{len(np.unique(groups[taught]))} galaxies are not counted: the run has learnt their labels.",
        ]
    return Galaxies(
        name,
        path,
        dataset,
        rows,
        found,
        labels,
        ~np.isin(groups, groups[(part != "") & (part != "test")])[rows],
        len(np.unique(groups[~taught])) - len(rows),
        (*opened.notes, *notes),
    )


def _labels(dataset: Dataset, rows: np.ndarray, trained: Trained) -> tuple[np.ndarray, list[str]]:
    """The label of each galaxy, of whichever of its images has one; K for a class the network lacks."""
    everything = np.arange(len(dataset))
    known, _ = matched_labels(dataset, everything, trained.classes)
    labels = hard_labels(dataset.info.labels, len(dataset))
    foreign = (labels >= 0) & (known < 0)
    called = dataset.info.classes or tuple(map(str, range(int(labels.max(initial=0)) + 1)))
    words = sorted(called[k] for k in np.unique(labels[foreign]))
    if words and not (known >= 0).any():
        raise DataError(
            f"no label is a class of the network ({', '.join(trained.classes)}): they are {_few(words)}",
            where=dataset.name,
            hint=f"--classes-map '{words[0]}=NAME', NAME one of {', '.join(trained.classes)}",
        )
    known = np.where(foreign, len(trained.classes), known)
    names, group = np.unique(dataset.info.groups, return_inverse=True)
    with_label = np.flatnonzero(known >= 0)
    first = np.full(len(names), NO_LABEL)
    first[group[with_label[::-1]]] = known[with_label[::-1]]
    differ = len(np.unique(group[with_label[known[with_label] != first[group[with_label]]]]))
    notes = [f"{differ} galaxies have images with different labels; the first counts."] if differ else []
    if words:
        notes.append(f"Labels that the network does not know are counted as 'other': {_few(words)}.")
    return first[group[rows]], notes


def _few(words: list[str]) -> str:
    """The first words of many."""
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


@dataclass(frozen=True)
class Bin:
    """Galaxies whose column lies in [low, high), or of the last bin [low, high]; or has one word."""

    name: str
    members: np.ndarray
    low: float = float("nan")
    high: float = float("nan")


def bins_of(galaxies: Galaxies, config: CountConfig, notes: list[str]) -> list[Bin]:
    """Return the bins of ``--by``; none without.

    Raises
    ------
    DataError
        When there is no such column, or it cannot be cut.
    """
    if config.by is None:
        return []
    values = _column(galaxies, config.by)
    if values.dtype.kind not in "fiub":
        return _of_words(values.astype(str), config)
    numbers = values.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        raise DataError(f"the column '{config.by}' holds no number", where=galaxies.path)
    edges = np.asarray(config.bins or np.unique(np.quantile(finite, np.linspace(0, 1, _QUANTILES + 1))))
    if len(edges) < 2:
        raise DataError(
            f"every galaxy has the same {config.by}", where=galaxies.path, hint="give edges with --bins"
        )
    made = []
    for i, (low, high) in enumerate(pairwise(edges)):
        above = numbers <= high if i == len(edges) - 2 else numbers < high
        members = np.flatnonzero((numbers >= low) & above)
        made.append(Bin(f"{low:.6g} to {high:.6g}", members, float(low), float(high)))
    left_out = len(numbers) - sum(len(one.members) for one in made)
    if left_out:
        notes.append(
            f"{left_out} galaxies are in no bin of {config.by}: outside the edges, or without a value."
        )
    return [one for one in made if len(one.members)]


def _column(galaxies: Galaxies, name: str) -> np.ndarray:
    table = galaxies.dataset.info.table
    names = [] if table is None else list(table.colnames)
    if name not in names:
        raise DataError(
            f"the data set's catalogue has no column '{name}'",
            where=galaxies.path,
            hint=did_you_mean(name, names),
        )
    values = np.ma.asarray(table[name][galaxies.rows])
    if values.ndim > 1:
        raise DataError(f"the column '{name}' holds several values a galaxy", where=galaxies.path)
    missing = np.nan if values.dtype.kind == "f" else None
    if np.ma.getmaskarray(values).any() and values.dtype.kind in "iu":
        values, missing = values.astype(np.float64), np.nan
    return np.ma.filled(values, missing) if missing is not None else np.ma.filled(values)


def _of_words(values: np.ndarray, config: CountConfig) -> list[Bin]:
    words = np.unique(values)
    if config.bins or len(words) > _KINDS:
        told = "cannot be cut at edges" if config.bins else f"has {len(words)} different values"
        raise DataError(f"the column '{config.by}' holds words and {told}", hint="name a column of numbers")
    return [Bin(str(word) or "no value", np.flatnonzero(values == word)) for word in words]
