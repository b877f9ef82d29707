"""Feed training from data sets larger than memory: blocks of neighbours, read whole, mixed over many places.

Rows are dealt into blocks of neighbours of about a megabyte.  An epoch goes through the blocks in random
order, some tens of them at a time, and takes rows from all of these at random: the disk sees reads of whole
blocks, the network sees rows from many places, and every block is read once an epoch.  The order is a
function of (seed, name, epoch) and of the sizes below, never of time, threads or memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from galshift.data.cutouts import Cutouts, Dataset
from galshift.streams import numpy_stream

BLOCK_BYTES = 1 << 20
SPAN = 64
# Blocks kept beyond those that the order mixes, for the batch that is read ahead.
_SPARE = 16


def block_order(n: int, block: int, span: int, seed: int, *names: object) -> np.ndarray:
    """Return a random permutation of ``range(n)`` that keeps rows of one block near one another.

    Block b, the k-th of a random order of blocks, gives its rows at random between the places of the k-th and
    the (k + span)-th block: at any time rows come from about `span` blocks, and a new one begins for each
    that ends.

    Parameters
    ----------
    n : int
    block : int
        Rows of a block; 1 gives a plain random permutation.
    span : int
        Blocks that are mixed.
    seed, *names
        The random stream, such as ``(42, "source", epoch)``.

    Returns
    -------
    ndarray
        (n,) int64.
    """
    generator = numpy_stream(seed, "block-order", *names)
    if block <= 1:
        return generator.permutation(n)
    place = np.empty(-(-n // block), dtype=np.float64)
    place[generator.permutation(len(place))] = np.arange(len(place))
    keys = np.repeat(place, block)[:n] + generator.uniform(0, span, size=n)
    return np.argsort(keys, kind="stable")


class BlockReader:
    """Linear images of a data set that does not fit in memory, for a training set.

    Parameters
    ----------
    dataset : Dataset
    rows : ndarray
        Rows of `dataset` that make up the training set, in its order.
    prepare : callable
        From cut-outs to (n, C, S, S) float32, such as ``preprocessing.linear``; what it makes of an image
        must not depend on the others.
    image_bytes : int
        Of one prepared image.

    Attributes
    ----------
    block, span : int
        Rows of a block, and how many blocks an epoch should mix (see :func:`block_order`).
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        prepare: Callable[[Cutouts], np.ndarray],
        image_bytes: int,
        *,
        block_bytes: int = BLOCK_BYTES,
        span: int = SPAN,
    ) -> None:
        self.dataset, self.prepare = dataset, prepare
        self.rows = np.asarray(rows, dtype=np.int64)
        self.block, self.span = max(1, block_bytes // image_bytes), span
        self._held: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the images at `indices` (B,) as (B, C, S, S); blocks are read whole and kept for a while.

        What is asked for from more blocks than could pay off, as at random, is read by itself.
        """
        wanted = np.asarray(indices, dtype=np.int64)
        places = wanted // self.block
        new = np.setdiff1d(places, np.fromiter(self._held, dtype=np.int64, count=len(self._held)))
        if len(new) * self.block > 8 * max(len(wanted), self.block):
            return torch.from_numpy(self._read(wanted))
        for place in new:
            start = int(place) * self.block
            self._held[int(place)] = self._read(np.arange(start, min(len(self.rows), start + self.block)))
        out: np.ndarray | None = None
        for place in np.unique(places):
            held = self._held[int(place)]
            self._held.move_to_end(int(place))
            here = places == place
            if out is None:
                out = np.empty((len(wanted), *held.shape[1:]), dtype=held.dtype)
            out[here] = held[wanted[here] - int(place) * self.block]
        while len(self._held) > self.span + _SPARE:
            self._held.popitem(last=False)
        if out is None:
            raise ValueError("no images were asked for")
        return torch.from_numpy(out)

    def _read(self, positions: np.ndarray) -> np.ndarray:
        """Return prepared images, read in the order of the disk."""
        rows = self.rows[positions]
        order = np.argsort(rows, kind="stable")
        block = np.asarray(self.prepare(self.dataset.read(rows[order])), dtype=np.float32)
        if (np.diff(order) == 1).all():
            return block
        out = np.empty_like(block)
        out[order] = block
        return out
