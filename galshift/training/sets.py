"""Images to train on, in memory or fetched, with the batches that each step takes from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from galshift.data.stream import block_order
from galshift.errors import DataError
from galshift.streams import numpy_stream

Stretch = Callable[[Tensor], Tensor]
# Rows that lie together on disk, and how many such blocks a pass mixes at a time.
Mixing = tuple[int, int]
ANY_ORDER: Mixing = (1, 1)
VALIDATION_DRAW = -1


class Fetcher(Protocol):
    """Linear images that do not fit in memory."""

    def __len__(self) -> int: ...

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the float32 linear images at `indices` (B,) int64, as (B, C, S, S)."""
        ...


class Observe(Protocol):
    """A new observation of the same galaxies each time that they are drawn, such as a survey's mock.

    All randomness must follow from the image's id and the number of the draw, so that a resumed run, another
    batch size or another number of processes sees the same images.
    """

    def __call__(self, linear: Tensor, ids: Sequence[str], draws: Sequence[int]) -> Tensor:
        """Return (B, C, S', S') linear images as observed.

        Parameters
        ----------
        linear : Tensor
            (B, C, S, S) float32.
        ids : sequence of str
            B image names.
        draws : sequence of int
            For each image the number of the pass over the set, from 0; -1 outside training.
        """
        ...


@dataclass(frozen=True)
class TrainingSet:
    """One domain's images for the training loop.

    Attributes
    ----------
    images : Tensor or Fetcher
        (N, C, S, S) float32 linear fluxes, or anything with ``len`` and ``fetch(indices)``.
    labels : Tensor or None
        (N,) int64 classes, or (N, L) float32 votes or continuous labels; None for the target, whose labels
        the loop must never hold.
    ids : tuple of str
        N names, for messages and for `observe`.
    observe : Observe or None
        Observes the images anew at every draw; what the network takes is what it returns.
    """

    images: Tensor | Fetcher
    labels: Tensor | None = None
    ids: tuple[str, ...] = ()
    observe: Observe | None = None

    def __post_init__(self) -> None:
        if self.observe is not None and not self.ids:
            raise DataError("images that are observed at every draw need ids, which seed the observation")
        for name, value in (("labels", self.labels), ("ids", self.ids or None)):
            if value is not None and len(value) != len(self.images):
                raise DataError(f"{len(value)} {name} for {len(self.images)} training images")
        if self.labels is None or self.labels.dtype == torch.int64:
            return
        if self.labels.dtype != torch.float32 or self.labels.ndim != 2:
            raise DataError(
                f"labels must be int64 class indices or (N, L) float32 numbers, not {self.labels.dtype} of "
                f"shape {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def ready(self) -> bool:
        """Whether images need only be looked up: in memory, and not observed anew."""
        return isinstance(self.images, Tensor) and self.observe is None

    def take(self, indices: Tensor, draws: Tensor | None = None) -> Tensor:
        """Return linear images (n, C, S, S), observed for the passes `draws` (n,); None: not for training."""
        if isinstance(self.images, Tensor):
            linear = self.images[indices.to(self.images.device, non_blocking=True)]
        else:
            linear = self.images.fetch(indices)
        if self.observe is None:
            return linear
        passes = [VALIDATION_DRAW] * len(indices) if draws is None else draws.tolist()
        return self.observe(linear, [self.ids[i] for i in indices.tolist()], passes)

    @property
    def mixing(self) -> Mixing:
        """How a pass may go through the set: by the blocks that a reader of a disk names, else any order."""
        return getattr(self.images, "block", 1), getattr(self.images, "span", 1)

    def chunks(self, size: int, limit: int | None = None) -> Iterator[Tensor]:
        """Yield index blocks (`size`,) that cover the set in order, or an even sample of `limit` of it."""
        everything = torch.arange(len(self))
        if limit is not None and limit < len(self):
            everything = everything[torch.linspace(0, len(self) - 1, limit).round().long()]
        yield from everything.split(size)


def batch_indices(
    n: int, seed: int, domain: str, start: int, count: int, mixing: Mixing = ANY_ORDER
) -> Tensor:
    """Return which images the positions ``start ... start + count`` of a domain's endless stream are.

    The stream is one random permutation of the N images after another, each a function of (seed, domain,
    pass): the place in it is a single number, nothing is dropped, and domains of different sizes pair up.

    Parameters
    ----------
    n : int
        Images of the domain.
    seed : int
    domain : str
    start, count : int
    mixing : (int, int)
        How a pass may go through the set; see `TrainingSet.mixing`.

    Returns
    -------
    Tensor
        (count,) int64 in [0, n).
    """
    passes = range(start // n, (start + count - 1) // n + 1)
    stream = np.concatenate([_permutation(n, seed, domain, number, mixing) for number in passes])
    offset = start - passes[0] * n
    return torch.from_numpy(stream[offset : offset + count].copy())


@lru_cache(maxsize=8)
def _permutation(n: int, seed: int, domain: str, number: int, mixing: Mixing) -> np.ndarray:
    """One pass over a domain: in any order, or in one that a disk can follow."""
    if mixing != ANY_ORDER:
        return block_order(n, *mixing, seed, "sampler", domain, number)
    return numpy_stream(seed, "sampler", domain, number).permutation(n)
