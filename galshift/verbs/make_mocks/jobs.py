"""The work of make-mocks in pieces: which images a piece holds, making it, and sharing pieces out.

A piece's pixels depend on its images only, so it may be made by any process, in any order, and be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galshift import surveys
from galshift.data.card import resolve
from galshift.data.catalogue_psfs import attach_psfs
from galshift.data.cutouts import Dataset
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.errors import ConfigError, DataError, GalshiftError, ResourceError
from galshift.mocks.config import ObserveConfig
from galshift.mocks.observe import Observation, observe_in_full
from galshift.mocks.pairs import observe_pair
from galshift.processes import process_pool

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


def make(job: Job, piece: Piece, dataset: Dataset | None = None) -> list[Observation]:
    """Return one observation per survey of the job, of the images of `piece`."""
    read = ReadOptions(**job.read)
    dataset = dataset if dataset is not None else open_dataset(job.path, read)
    config = ObserveConfig(**job.observe)
    presets = [surveys.load(name) for name in job.surveys]
    cutouts = dataset.read(np.arange(piece.start, piece.stop))
    # A PSF that the user states stands for those that the images' catalogue names.
    if config.input_psf == "own" and resolve(job.path, read).options.psf is None:
        cutouts = attach_psfs(cutouts, Path(dataset.path).parent)
    shared = {"bands": job.bands, "config": config, "seed": job.seed, "device": job.device}
    try:
        with _one_thread():
            if len(presets) == 2:
                return list(observe_pair(cutouts, *presets, shapes=job.shapes, **shared))
            return [observe_in_full(cutouts, presets[0], shape=job.shapes[0], **shared)]
    except (DataError, ConfigError) as error:
        raise type(error)(error.what, where=error.where or job.path, hint=error.hint) from None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small transforms are slower on several threads than on one; processes share the work instead."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def made(
    job: Job, wanted: Sequence[Piece], *, workers: int, scheduler: str | None, dataset: Dataset
) -> Iterator[tuple[Piece, list[Observation]]]:
    """Yield each wanted piece when it is made: here, in `workers` processes, or on a Dask cluster."""
    if scheduler is not None:
        yield from _on_cluster(job, wanted, scheduler)
    elif workers > 1 and len(wanted) > 1:
        yield from _in_processes(job, wanted, workers)
    else:
        for piece in wanted:
            yield piece, make(job, piece, dataset)


def _in_processes(
    job: Job, wanted: Sequence[Piece], workers: int
) -> Iterator[tuple[Piece, list[Observation]]]:
    """Fresh processes, few pieces in flight, so that memory does not grow with the data set."""
    with process_pool(min(workers, len(wanted))) as pool:
        try:
            yield from _windowed(
                wanted,
                2 * workers,
                lambda piece: pool.submit(make, job, piece),
                lambda future: future.result(),
            )
        except BrokenProcessPool:
            raise ResourceError(
                "a worker process was killed, perhaps for want of memory",
                hint="repeat the command to resume, with fewer --workers",
            ) from None


def _on_cluster(
    job: Job, wanted: Sequence[Piece], scheduler: str
) -> Iterator[tuple[Piece, list[Observation]]]:
    """The workers of an existing cluster; a piece whose worker is lost is made again by another."""
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise ResourceError(
            "--scheduler needs Dask's distributed", hint="pip install 'galshift[cluster]'"
        ) from None
    try:
        client = Client(scheduler, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise ResourceError(f"the scheduler does not answer: {error}", where=scheduler) from None
    with client:
        try:
            yield from _windowed(
                wanted,
                4 * max(len(client.nthreads()), 1),
                lambda piece: client.submit(make, job, piece, pure=False),
                lambda future: future.result(),
            )
        except KilledWorker as error:
            raise ResourceError(
                f"the same images were lost with several workers: {error}",
                where=scheduler,
                hint="give the workers more memory, and repeat the command to resume",
            ) from None


def _windowed(
    wanted: Sequence[Piece],
    ahead: int,
    submit: Callable[[Piece], Any],
    result: Callable[[Any], list[Observation]],
) -> Iterator[tuple[Piece, list[Observation]]]:
    """Keep `ahead` pieces under way and yield them in order."""
    waiting: list[tuple[Piece, Any]] = []
    rest = iter(wanted)
    try:
        while True:
            while len(waiting) < ahead and (piece := next(rest, None)) is not None:
                waiting.append((piece, submit(piece)))
            if not waiting:
                return
            piece, future = waiting.pop(0)
            yield piece, result(future)
    except GalshiftError:
        for _, future in waiting:
            future.cancel()
        raise
