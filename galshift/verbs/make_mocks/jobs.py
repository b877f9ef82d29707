"""The work of make-mocks in pieces: which images a piece holds, making it, and sharing pieces out.

A piece's pixels depend on its images only, so it may be made by any process, in any order, and be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galshift import surveys
from galshift.data.card import resolve
from galshift.data.catalogue_psfs import attach_psfs
from galshift.data.cutouts import Dataset
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.data.paths import files_of
from galshift.errors import ConfigError, DataError
from galshift.mocks.config import ObserveConfig
from galshift.mocks.observe import Observation, observe_in_full
from galshift.mocks.pairs import observe_pair
from galshift.spread import Engine, Task, spread
from galshift.timing import part, timed
from galshift.training.threads import cpu_threads

#: Bytes of output pixels in one piece, about: small enough to lose, large enough to be worth a file.
_PIECE_BYTES = 96 << 20


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs, as plain data.

    Attributes
    ----------
    path : str
        The input; a worker on another machine must find it there.
    read, observe : dict
        Plain ``ReadOptions`` and ``ObserveConfig``.
    surveys : tuple of str
        One survey, or the two of a pair.
    bands : tuple of str or None
    seed : int
    device : str
    shapes : tuple of (int, int)
        (H, W) of each survey's output [pixels], the same for all pieces.
    """

    path: str
    read: dict[str, Any]
    observe: dict[str, Any]
    surveys: tuple[str, ...]
    bands: tuple[str, ...] | None
    seed: int
    device: str
    shapes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Piece:
    """Images `start` to `stop` of the input, by their position."""

    number: int
    start: int
    stop: int


def pieces(n: int, bytes_per_image: int) -> list[Piece]:
    """Cut `n` images into pieces of about 100 MB; the cut does not depend on the workers."""
    step = int(np.clip(_PIECE_BYTES // max(bytes_per_image, 1), 8, 1024))
    return [Piece(i, begin, min(begin + step, n)) for i, begin in enumerate(range(0, n, step))]


@timed("observation")
def make(job: Job, piece: Piece, dataset: Dataset | None = None) -> list[Observation]:
    """Return one observation per survey of the job, of the images of `piece`."""
    read = ReadOptions(**job.read)
    dataset = _opened(job)[1] if dataset is None else dataset
    config = ObserveConfig(**job.observe)
    presets = [surveys.load(name) for name in job.surveys]
    with part("reading"):
        cutouts = dataset.read(np.arange(piece.start, piece.stop))
    # A PSF that the user states stands for those that the images' catalogue names.
    if config.input_psf == "own" and resolve(job.path, read).options.psf is None:
        cutouts = attach_psfs(cutouts, Path(dataset.path).parent)
    shared = {"bands": job.bands, "config": config, "seed": job.seed, "device": job.device}
    try:
        with cpu_threads(1):  # small transforms are slower on several
            if len(presets) == 2:
                return list(observe_pair(cutouts, *presets, shapes=job.shapes, **shared))
            return [observe_in_full(cutouts, presets[0], shape=job.shapes[0], **shared)]
    except (DataError, ConfigError) as error:
        raise type(error)(error.what, where=error.where or job.path, hint=error.hint) from None


def made(
    job: Job, wanted: Sequence[Piece], engine: Engine, dataset: Dataset
) -> Iterator[tuple[Piece, list[Observation]]]:
    """Yield each wanted piece when it is made, in order."""
    task = Task(open=_opened, make=_make, job=job, needs=files_of(job.path))

    def name(piece: Piece) -> str:
        return f"images {piece.start} to {piece.stop - 1}"

    yield from spread(task, wanted, engine, name=name, bench=(job, dataset))


def _opened(job: Job) -> tuple[Job, Dataset]:
    return job, open_dataset(job.path, ReadOptions(**job.read))


def _make(bench: tuple[Job, Dataset], piece: Piece) -> list[Observation]:
    job, dataset = bench
    return make(job, piece, dataset)
