"""Images of a data set as linear pixels, read as a network of a run needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from galshift.data.options import ReadOptions
    from galshift.runs.classifiers import Classifier
    from galshift.runs.test_sets import TestSet

BLOCK = 128


class LinearImages:
    """Images in one model's bands, scale and unit, read when they are asked for; one block is held.

    Parameters
    ----------
    classifier : Classifier
    judged : TestSet

    Attributes
    ----------
    shape : tuple of int
        (N, C, S, S).
    """

    def __init__(self, classifier: Classifier, judged: TestSet) -> None:
        self._pre, self._judged = classifier.trained.preprocessing, judged
        self._pre.check(judged.dataset.info, judged.name)
        self.shape = (len(judged.rows), len(self._pre.bands), self._pre.size, self._pre.size)
        self._number, self._block = -1, None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, i: int) -> Tensor:
        number, place = divmod(i, BLOCK)
        if number != self._number:
            self._number, self._block = number, self._read(number)
        return self._block[place]

    def blocks(self) -> Iterator[Tensor]:
        """Yield all images, (B, C, S, S) at a time; NaN where a band has no good pixel."""
        for number in range(-(-len(self) // BLOCK)):
            yield self._read(number)

    def _read(self, number: int) -> Tensor:
        import torch

        rows = self._judged.rows[number * BLOCK : (number + 1) * BLOCK]
        return torch.from_numpy(_linear(self._pre, self._judged.dataset.read(rows)))


def labelled_images(
    classifiers: Sequence[Classifier],
    data: str,
    read: ReadOptions,
    limit: int | None,
    seed: int,
    *,
    why: str = "only right answers can be attacked",
) -> TestSet:
    """Return the images of `data` whose labels the models know, at most `limit`, drawn by the seed.

    `why` ends the sentence that refuses images without labels.

    Raises
    ------
    DataError
        When there is none.
    """
    from dataclasses import replace

    from galshift.runs.test_sets import open_test_sets
    from galshift.streams import numpy_stream

    judged = open_test_sets(classifiers, [data], read, list(classifiers[0].trained.classes))[0]
    known = np.flatnonzero(judged.labels >= 0)
    if not len(known):
        raise DataError(
            f"the images have no labels that the model knows, and {why}",
            where=data,
            hint="give them with --labels file.csv or --labels COLUMN",
        )
    if limit is not None and limit < len(known):
        drawn = numpy_stream(seed, "one-pixel-attack", "limit").choice(len(known), limit, False)
        known = known[np.sort(drawn)]
    return replace(judged, rows=judged.rows[known], labels=judged.labels[known])


def _linear(pre: Any, cutouts: Any) -> np.ndarray:
    """Return the images as the model takes them, NaN where a band has no good pixel at all."""
    linear = pre.linear(cutouts)
    if cutouts.mask is not None:
        empty = cutouts.mask.reshape(len(linear), -1, *cutouts.mask.shape[-2:]).all(axis=(2, 3)).any(axis=1)
        linear[empty] = np.nan
    return linear
