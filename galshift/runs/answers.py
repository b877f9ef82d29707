"""A data set as a classifier sees it: what similar and suggest look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galshift.console import progress
from galshift.data.cutouts import Dataset
from galshift.data.open import ReadOptions, open_dataset
from galshift.data.paths import split_name
from galshift.errors import DataError
from galshift.runs.test_sets import matched_labels
from galshift.streams import numpy_stream

if TYPE_CHECKING:
    from galshift.training.checkpoint import Trained

_CHUNK = 256


@dataclass(frozen=True)
class Looked:
    """One data set, forwarded.

    Attributes
    ----------
    name : str
    dataset : Dataset
    rows : ndarray
        (N,) rows of the data set that were looked at.
    labels : ndarray
        (N,) in the model's classes, -1 where unknown.
    probabilities : ndarray
        (N, K); NaN where an image gave no answer.
    features : ndarray
        (N, D); NaN likewise.
    """

    name: str
    dataset: Dataset
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray

    @property
    def ids(self) -> np.ndarray:
        """(N,) image names."""
        return self.dataset.info.ids[self.rows]

    @property
    def groups(self) -> np.ndarray:
        """(N,) the galaxy of each image."""
        return self.dataset.info.groups[self.rows]

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: images with an answer."""
        return np.isfinite(self.probabilities).all(axis=1)


def look(
    trained: Trained,
    text: str,
    read: ReadOptions,
    device: str,
    *,
    limit: int | None = None,
    keep: str | None = None,
    seed: int = 0,
) -> Looked:
    """Forward a data set (``DATA`` or ``name=DATA``), or `limit` of its images, drawn by `seed`, and `keep`.

    Raises
    ------
    DataError
        When it does not fit the model, or not one of its images gives an answer.
    """
    from galshift.training.predict import forward

    label, path = split_name(text)
    dataset = open_dataset(path, read)
    rows = np.arange(len(dataset))
    if limit is not None and limit < len(dataset):
        rows = numpy_stream(seed, "look", "limit").permutation(len(dataset))[:limit]
        wanted = np.flatnonzero(dataset.info.ids == keep) if keep is not None else np.zeros(0, dtype=int)
        rows = np.union1d(rows, wanted)
    with progress(f"look at {dataset.name}", len(rows)) as bar:
        out = forward(trained, dataset, rows, device=device, progress=bar.advance)
    if not np.isfinite(out.probabilities).all(axis=1).any():
        raise DataError(
            "not one image of this data set gave an answer",
            where=path,
            hint="galshift inspect shows what the images hold",
        )
    labels, _ = matched_labels(dataset, rows, trained.classes)
    return Looked(label or dataset.name, dataset, rows, labels, out.probabilities, out.features)


def images_of(trained: Trained, looked: Looked, places: np.ndarray) -> np.ndarray:
    """Return the linear images at `places` of what was looked at, as the model takes them, in that order."""
    rows = looked.rows[places]
    parts = [
        trained.preprocessing.linear(looked.dataset.read(rows[start : start + _CHUNK]))
        for start in range(0, len(rows), _CHUNK)
    ]
    return np.concatenate(parts)
