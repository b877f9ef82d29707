"""Images of a data set as linear pixels, read as a network of a run needs them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.options import ReadOptions
from galshift.data.preprocess import Preprocessing
from galshift.errors import DataError
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet, open_test_sets
from galshift.streams import numpy_stream

BLOCK = 128
_HELD_BYTES = 64 << 20


class LinearImages:
    """Images in one model's bands, scale and unit, read when they are asked for; one block is cached.

    Parameters
    ----------
    classifier : Classifier
    test_set : TestSet

    Attributes
    ----------
    shape : tuple of int
        (N, C, S, S).
    """

    def __init__(self, classifier: Classifier, test_set: TestSet) -> None:
        self._pre, self._test_set = classifier.trained.preprocessing, test_set
        self._pre.check(test_set.dataset.info, test_set.name)
        self.shape = (len(test_set.rows), len(self._pre.bands), self._pre.size, self._pre.size)
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
        rows = self._test_set.rows[number * BLOCK : (number + 1) * BLOCK]
        return torch.from_numpy(_linear(self._pre, self._test_set.dataset.read(rows)))


@dataclass(frozen=True)
class Blocks:
    """Some images of a test set, and the blocks in which they are read, as plain data.

    Attributes
    ----------
    positions : ndarray
        (n,) of the test set's rows.
    rows : dict of int to ndarray
        The data set's rows of each block that one of them stands in.
    """

    positions: np.ndarray
    rows: dict[int, np.ndarray]


def blocks_of(rows: np.ndarray, positions: np.ndarray) -> Blocks:
    """Return the images at `positions` (n,) of a test set whose rows are `rows` (N,)."""
    numbers = np.unique(positions // BLOCK).tolist()
    return Blocks(positions, {k: rows[k * BLOCK : (k + 1) * BLOCK] for k in numbers})


class BlockReader:
    """Images in one model's bands, scale and unit, from a data set that this process has open.

    They are read in the blocks of :class:`LinearImages`, so that they are the same bits; the last blocks stay
    in memory up to `_HELD_BYTES`.

    Parameters
    ----------
    pre : Preprocessing
    dataset : Dataset
    """

    def __init__(self, pre: Preprocessing, dataset: Dataset) -> None:
        self._pre, self._dataset = pre, dataset
        self._held: OrderedDict[int, Tensor] = OrderedDict()

    def read(self, blocks: Blocks) -> Tensor:
        """Return the images (n, C, S, S), in order; NaN where a band has no good pixel."""
        held = {number: self._block(number, rows) for number, rows in blocks.rows.items()}
        return torch.stack([held[int(i) // BLOCK][int(i) % BLOCK] for i in blocks.positions])

    def _block(self, number: int, rows: np.ndarray) -> Tensor:
        if number in self._held:
            self._held.move_to_end(number)
        else:
            self._held[number] = torch.from_numpy(_linear(self._pre, self._dataset.read(rows)))
        found = self._held[number]
        while len(self._held) > 1 and sum(block.nbytes for block in self._held.values()) > _HELD_BYTES:
            self._held.popitem(last=False)
        return found


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
    test_set = open_test_sets(classifiers, [data], read, list(classifiers[0].trained.classes))[0]
    known = np.flatnonzero(test_set.labels >= 0)
    if not len(known):
        raise DataError(
            f"the images have no labels that the model knows, and {why}",
            where=data,
            hint="give them with --labels file.csv or --labels COLUMN",
        )
    if limit is not None and limit < len(known):
        drawn = numpy_stream(seed, "one-pixel-attack", "limit").choice(len(known), limit, False)
        known = known[np.sort(drawn)]
    return replace(test_set, rows=test_set.rows[known], labels=test_set.labels[known])


def _linear(pre: Preprocessing, cutouts: Cutouts) -> np.ndarray:
    """Return the images as the model takes them, NaN where a band has no good pixel at all."""
    linear = pre.linear(cutouts)
    if cutouts.mask is not None:
        empty = cutouts.mask.reshape(len(linear), -1, *cutouts.mask.shape[-2:]).all(axis=(2, 3)).any(axis=1)
        linear[empty] = np.nan
    return linear
