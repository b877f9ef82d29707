"""What a network answers for images: one forward pass with its progress bar, one table, one refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.console import progress
from galshift.data.cutouts import Dataset
from galshift.data.options import ReadOptions
from galshift.data.paths import split_name
from galshift.errors import DataError
from galshift.evaluation.predictions import predictions_table, value_table, votes_table
from galshift.runs.known_data import open_for
from galshift.runs.passes import joined, passes
from galshift.runs.shared_encoder import SharedEncoder
from galshift.runs.test_sets import matched_labels
from galshift.spread import HERE, Engine
from galshift.streams import numpy_stream
from galshift.training.checkpoint import Trained
from galshift.training.device import DeviceChoice
from galshift.training.predict import Forward

_CHUNK = 256


@dataclass(frozen=True)
class Answers:
    """What one network answers for N images.

    Attributes
    ----------
    kind : {"class", "value", "votes"}
        Of the network's head.
    names : tuple of str
        The classes, or the continuous labels, in the order of the columns of `centre`.
    centre : ndarray
        (N, K) probabilities of classes, (N, K) expected vote fractions, or (N, L) values; NaN where the image
        could not be used.
    width : ndarray or None
        (N, L) standard deviations of values, (N, 1) concentrations of votes; None for classes.
    outputs : Forward
        The network's outputs as they came, in its own order: features, logits, flags.
    """

    kind: str
    names: tuple[str, ...]
    centre: np.ndarray
    width: np.ndarray | None
    outputs: Forward

    @property
    def features(self) -> np.ndarray:
        """(N, D) float32; NaN where the image could not be used."""
        return self.outputs.features

    @property
    def flags(self) -> np.ndarray:
        """(N,) int16, 0 for good; see :class:`galshift.training.predict.Forward`."""
        return self.outputs.flags

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: images with an answer."""
        return np.isfinite(self.centre).all(axis=1)

    def table(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        *,
        truth: np.ndarray | None,
        data_set: str,
        split: str | np.ndarray,
        unknown: np.ndarray | None = None,
        selected: Mapping[str, np.ndarray] | None = None,
    ) -> Table:
        """Return the table of predictions, one row an image.

        Parameters
        ----------
        dataset : Dataset
        rows : ndarray
            (N,) the images of `dataset` that the answers are about.
        truth : ndarray or None
            (N,) classes in the order of `names`, -1 where unknown; (N, L) labels; or (N, K) votes.
        data_set : str
            What it is called.
        split : str or ndarray of str
        unknown : ndarray, optional
            (N,) scores of an unknown class, beside classes only.
        selected : mapping of str to ndarray, optional
            (N,) bool columns of selected classes, by name; beside classes only.
        """
        info = dataset.info
        columns = {
            "ids": _of(info.ids, rows),
            "groups": _of(info.groups, rows),
            "data_set": data_set,
            "split": split,
            "flags": self.flags,
            "catalogue": None if info.table is None else _of(info.table, rows),
        }
        if self.kind == "class":
            return predictions_table(
                probabilities=self.centre,
                classes=self.names,
                labels=truth,
                unknown=unknown,
                selected=selected,
                **columns,
            )
        if self.kind == "votes":
            return votes_table(
                fractions=self.centre,
                concentration=self.width[:, 0],
                counts=truth,
                classes=self.names,
                **columns,
            )
        return value_table(names=self.names, values=self.centre, sigmas=self.width, labels=truth, **columns)


def _of(values: Any, rows: np.ndarray) -> Any:
    """Return the entries at `rows`; where these are all of them, not a copy."""
    whole = len(rows) == len(values) and bool((rows == np.arange(len(rows))).all())
    return values if whole else values[rows]


def answer(
    trained: Trained,
    dataset: Dataset,
    rows: np.ndarray | None = None,
    *,
    device: str | DeviceChoice,
    label: str,
    names: Sequence[str] | None = None,
    refuse: bool = True,
    engine: Engine = HERE,
    shared: SharedEncoder | None = None,
    features: bool = True,
) -> Answers:
    """Run a network over images and return what its outputs mean.

    Parameters
    ----------
    trained : Trained
    dataset : Dataset
    rows : ndarray, optional
        (N,) of `dataset`; default all.
    device : str or DeviceChoice
    label : str
        What the progress bar says.
    names : sequence of str, optional
        Classes or labels in the order wanted; default the network's.
    refuse : bool
        False where a data set without one answer is a result too, such as a table of flags.
    engine : Engine
        Who computes.
    shared : SharedEncoder, optional
        Of networks some of which have the same encoder; it needs the features.
    features : bool
        False where they are not wanted: of a large survey they take most of the memory.

    Raises
    ------
    DataError
        When the data set does not fit the network, or not one of its images gives an answer.
    """
    rows = np.arange(len(dataset)) if rows is None else rows

    def compute() -> Forward:
        with progress(label, len(rows)) as bar:
            made = passes(
                trained,
                dataset,
                rows,
                device=device,
                engine=engine,
                progress=bar.advance,
                features=features or shared is not None,
            )
            return joined((found for _, found in made), len(rows))

    out = compute() if shared is None else shared.outputs(trained, dataset, rows, compute)
    found = answers_of(trained, out, names)
    if refuse and not found.usable.any():
        raise DataError(
            "not one image of this data set gave an answer",
            where=dataset.path,
            hint="galshift inspect shows what the images hold",
        )
    return found


def answers_of(trained: Trained, out: Forward, names: Sequence[str] | None = None) -> Answers:
    """Return what the outputs `out` of a network mean, its classes or labels in the order of `names`."""
    head = trained.head
    width = None
    if head.kind == "value":
        centre, width = head.values(out.logits)
    else:
        centre = out.probabilities
    if head.kind == "votes":
        width = head.concentration_of(out.logits)[:, None]
    if names is not None:
        order = [head.names.index(name) for name in names]
        centre = centre[:, order]
        width = width[:, order] if head.kind == "value" else width
    return Answers(head.kind, tuple(names or head.names), centre, width, out)


@dataclass(frozen=True)
class AnsweredSet:
    """A data set, or images drawn from it, with a classifier's answers.

    Attributes
    ----------
    name : str
    dataset : Dataset
    rows : ndarray
        (N,) rows of the data set that were classified.
    labels : ndarray
        (N,) in the model's classes, -1 where unknown.
    answers : Answers
    """

    name: str
    dataset: Dataset
    rows: np.ndarray
    labels: np.ndarray
    answers: Answers

    @property
    def ids(self) -> np.ndarray:
        """(N,) image names."""
        return self.dataset.info.ids[self.rows]

    @property
    def groups(self) -> np.ndarray:
        """(N,) the galaxy of each image."""
        return self.dataset.info.groups[self.rows]

    @property
    def probabilities(self) -> np.ndarray:
        """(N, K); NaN where an image gave no answer."""
        return self.answers.centre

    @property
    def features(self) -> np.ndarray:
        """(N, D); NaN likewise."""
        return self.answers.features

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: images with an answer."""
        return self.answers.usable

    def linear_images(self, trained: Trained, places: np.ndarray) -> np.ndarray:
        """Return the images at `places` of the rows, (n, C, S, S) linear and as the model takes them."""
        rows = self.rows[places]
        parts = [
            trained.preprocessing.linear(self.dataset.read(rows[start : start + _CHUNK]))
            for start in range(0, len(rows), _CHUNK)
        ]
        return np.concatenate(parts)


def answered_set(
    trained: Trained,
    text: str,
    read: ReadOptions,
    device: str,
    *,
    limit: int | None = None,
    include: str | None = None,
    seed: int = 0,
) -> AnsweredSet:
    """Classify a data set (``DATA`` or ``name=DATA``), or `limit` of its images, drawn by `seed`.

    The image called `include` is among those drawn.

    Raises
    ------
    DataError
        When it does not fit the model, or not one of its images gives an answer.
    """
    label, path = split_name(text)
    dataset = open_for(trained, path, read).dataset
    rows = drawn_rows(len(dataset), limit, seed, "look", "limit")  # the stream's name is part of its numbers
    if include is not None:
        rows = np.union1d(rows, np.flatnonzero(dataset.info.ids == include))
    name = label or dataset.name
    found = answer(trained, dataset, rows, device=device, label=f"classify {name}")
    labels, _ = matched_labels(dataset, rows, trained.classes)
    return AnsweredSet(name, dataset, rows, labels, found)


def drawn_rows(n: int, limit: int | None, seed: int, *stream: str) -> np.ndarray:
    """Return, sorted (m,), at most `limit` of `n` rows, drawn from the random stream of that name."""
    if limit is None or limit >= n:
        return np.arange(n)
    return np.sort(numpy_stream(seed, *stream).permutation(n)[:limit])
