"""A network's outputs for many images, in pieces that can be made apart: fixed ranges of whole batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.paths import files_of
from galshift.errors import DataError
from galshift.spread import HERE, Engine, Task, spread
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.training.device import DeviceChoice
from galshift.training.predict import Forward, forward
from galshift.training.threads import suited_threads

#: Images of one piece: whole batches, so that the batches are those of one pass over everything.
PIECE = 512


@dataclass(frozen=True)
class Rows:
    """The images of one piece: their row numbers, of which the first is image `start` of those wanted."""

    start: int
    rows: np.ndarray


@dataclass(frozen=True)
class _Job:
    network: str
    reopen: Callable[[], Dataset]
    device: str | DeviceChoice
    threads: int
    features: bool = True


@dataclass(frozen=True)
class _Bench:
    trained: Trained
    dataset: Dataset
    device: str | DeviceChoice
    threads: int
    progress: Callable[[int], None] | None = None
    features: bool = True


def passes(
    trained: Trained,
    dataset: Dataset,
    rows: np.ndarray | None = None,
    *,
    device: str | DeviceChoice,
    engine: Engine = HERE,
    progress: Callable[[int], None] | None = None,
    features: bool = True,
) -> Iterator[tuple[np.ndarray, Forward]]:
    """Yield the outputs of a network piece by piece, in order: the rows of `dataset`, and what it says.

    Pixels are in memory for one piece at a time.  A data set that only this process has open, such as one in
    memory, is read here whatever `engine` says.

    Parameters
    ----------
    trained : Trained
    dataset : Dataset
    rows : ndarray, optional
        (N,) of `dataset`; default all.
    device : str or DeviceChoice
    engine : Engine
    progress : callable, optional
        Called with the number of images done since the last call.
    features : bool
        False where they are not wanted: of a large survey they take most of the memory.

    Raises
    ------
    DataError
        When there are no images, or they do not fit the network.
    """
    trained.preprocessing.check(dataset.info, getattr(dataset, "path", None))
    rows = np.arange(len(dataset)) if rows is None else np.asarray(rows)
    if not len(rows):
        raise DataError("there are no images to classify", where=getattr(dataset, "path", None))
    pieces = [Rows(start, rows[start : start + PIECE]) for start in range(0, len(rows), PIECE)]
    threads, reopen = suited_threads(trained.model), getattr(dataset, "reopen", None)
    if reopen is None or engine.alone or (engine.scheduler is None and len(pieces) == 1):
        task = Task(open=_opened, make=_made, job=None)
        bench = _Bench(trained, dataset, device, threads, progress, features)
        for piece, found in spread(task, pieces, bench=bench):
            yield piece.rows, found
        return
    job = _Job(str(trained.path), reopen, device, threads, features)
    task = Task(open=_opened, make=_made, job=job, needs=(trained.path, *files_of(str(dataset.path))))
    for piece, found in spread(task, pieces, engine, name=_name(dataset)):
        if progress is not None:
            progress(len(piece.rows))
        yield piece.rows, found


def joined(parts: Iterable[Forward], n: int) -> Forward:
    """Return the outputs of all pieces, in order, as of one pass over `n` images.

    Each is put in its place as it comes, so that none is in memory twice.
    """
    names = ("logits", "features", "probabilities", "flags")
    whole: dict[str, np.ndarray] = {}
    start = 0
    for part in parts:
        held = {name: getattr(part, name) for name in names}
        stop = start + len(part.flags)
        if not whole:
            if stop == n:
                return part
            whole = {name: np.empty((n, *values.shape[1:]), values.dtype) for name, values in held.items()}
        for name, values in held.items():
            whole[name][start:stop] = values
        start = stop
    return Forward(**whole)


def _name(dataset: Dataset) -> Callable[[Rows], str]:
    def name(piece: Rows) -> str:
        return f"images {piece.start} to {piece.start + len(piece.rows) - 1} of {dataset.name}"

    return name


def _opened(job: _Job) -> _Bench:
    bench = _Bench(load_checkpoint(job.network), job.reopen(), job.device, job.threads)
    return replace(bench, features=job.features)


def _made(bench: _Bench, piece: Rows) -> Forward:
    return forward(
        bench.trained,
        bench.dataset,
        piece.rows,
        device=bench.device,
        threads=bench.threads,
        progress=bench.progress,
        features=bench.features,
    )
