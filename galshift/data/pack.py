"""Pack any data set into one HDF5 file: decoded once, in pieces, by several processes, and resumable.

Each process decodes a run of neighbouring images into a piece, a small HDF5 file that appears when it is
complete; the pieces are then laid end to end.  An interrupted run finds its pieces and goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.hdf5 import write_hdf5
from galshift.data.hdf5_shards import write_hdf5_shards
from galshift.data.identity import numbering_of
from galshift.data.open import open_dataset
from galshift.data.options import ReadOptions
from galshift.data.paths import files_of
from galshift.errors import DataError, ResourceError
from galshift.provenance import write_json
from galshift.spread import Engine, Task, spread

PIECE_BYTES = 32 << 20
MAX_PIECE = 512
# A process starts in about a second, so that few images are packed sooner by one.
_FEW = 256
_SECONDS_TO_APPEAR = 30


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of the data set, and the file that they are decoded into."""

    start: int
    stop: int
    place: Path


@dataclass(frozen=True)
class Packed:
    """What a packed file holds.

    Attributes
    ----------
    n : int
        Images written.
    skipped : tuple of str
        ``name: why`` of each image that could not be read, with ``on_error="skip"``.
    notes : tuple of str
        What the reader had to assume.
    """

    n: int
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def pack(
    path: str | Path,
    out: str | Path,
    options: ReadOptions | None = None,
    *,
    scratch: str | Path,
    workers: int = 1,
    scheduler: str | None = None,
    shards: int | None = None,
    provenance: dict[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
    dataset: Dataset | None = None,
) -> Packed:
    """Write every image of the data set at `path` to the HDF5 file `out`.

    Parameters
    ----------
    path : path-like
        Anything that :func:`galshift.data.open.open_dataset` opens.
    out : path-like
        The file, which appears when it is complete; with `shards` a folder.
    options : ReadOptions, optional
    scratch : path-like
        Folder of finished pieces; give the same one to resume.  It needs as much room as `out`.
    workers : int
        Processes; the file does not depend on how many.
    scheduler : str, optional
        Address of a Dask cluster, whose workers write the pieces into `scratch`.
    shards : int, optional
        Write a folder of HDF5 files of so many images each.
    provenance : dict, optional
        JSON-able account, stored in the file.
    progress : callable, optional
        Called with the number of images done since the last call.
    dataset : Dataset, optional
        What `path` and `options` open, where it is open already.

    Raises
    ------
    DataError
        When the data set cannot be opened, or an image cannot be read and ``on_error`` is ``raise``.
    ResourceError
        When the disk is full.
    """
    options = options or ReadOptions()
    dataset = dataset or open_dataset(path, options)
    cuts = pieces(dataset)
    places = [Path(scratch) / f"piece-{cut.start:09d}.h5" for cut in cuts]
    Path(scratch).mkdir(parents=True, exist_ok=True)
    jobs = [
        Piece(cut.start, cut.stop, place) for cut, place in zip(cuts, places) if not _account(place).is_file()
    ]
    tell = progress or (lambda n: None)
    tell(len(dataset) - sum(job.stop - job.start for job in jobs))
    needs = (*files_of(str(path)), scratch)
    task = Task(open=_opened, make=_make, job=(str(path), options), needs=needs)
    _write_pieces(task, jobs, Engine(workers if len(dataset) > _FEW else 1, scheduler), dataset, tell)
    accounts = [json.loads(_account(place).read_text(encoding="utf-8")) for place in places]
    skipped = [*dataset.info.left_out, *(text for account in accounts for text in account["skipped"])]
    kept = [place for place, account in zip(places, accounts) if account["n"]]
    if not kept:
        raise DataError("none of its images can be read", where=path, hint="; ".join(skipped[:2]))
    extras = {name: any(account[name] for account in accounts) for name in ("mask", "ivar")}
    chunks = _joined(kept, dataset, extras)
    if shards is None:
        write_hdf5(out, chunks, provenance=provenance)
    else:
        write_hdf5_shards(out, chunks, shards, provenance=provenance)
    return Packed(sum(account["n"] for account in accounts), tuple(skipped), dataset.info.notes)


def _write_pieces(
    task: Task, jobs: list[Piece], engine: Engine, dataset: Dataset, tell: Callable[[int], None]
) -> None:
    """Write every piece of `jobs` in its place; `dataset` is what the task opens."""
    bench = (dataset, task.job[1]) if engine.alone else None
    for job, done in spread(task, jobs, engine, name=_name, bench=bench):
        _require(_account(job.place))
        tell(done)


def pieces(dataset: Dataset) -> list[range]:
    """Return the runs of rows that are packed together, each of about 32 MB."""
    n, image_bytes = len(dataset), 4 * int(np.prod(dataset.info.shape))
    rows = min(MAX_PIECE, max(1, PIECE_BYTES // image_bytes))
    return [range(start, min(n, start + rows)) for start in range(0, n, rows)]


def _name(piece: Piece) -> str:
    return f"images {piece.start} to {piece.stop - 1}"


def _opened(job: tuple[str, ReadOptions]) -> tuple[Dataset, ReadOptions]:
    return open_dataset(*job), job[1]


def _require(account: Path) -> None:
    """Raise ResourceError where the file of a worker is not here, after the time that networks take."""
    deadline = time.monotonic() + _SECONDS_TO_APPEAR
    while not account.is_file():
        if time.monotonic() > deadline:
            raise ResourceError(
                "a worker wrote this file, and it is not here",
                where=account,
                hint="workers need the same files under the same paths, such as a shared file system",
            )
        time.sleep(0.1)


def _make(bench: tuple[Dataset, ReadOptions], piece: Piece) -> int:
    """Decode the rows of a piece into its file and, when it is complete, its account."""
    (dataset, options), (start, stop, place) = bench, (piece.start, piece.stop, piece.place)
    cutouts, skipped = dataset.read(np.arange(start, stop)), []
    if options.on_error == "skip" and cutouts.mask is not None:
        # What cannot be read comes masked in full; so does what has no good pixel to begin with.
        empty = cutouts.mask.reshape(len(cutouts), -1).all(axis=1)
        skipped = [f"{name}: it has no good pixel" for name in cutouts.ids[empty]]
        cutouts = cutouts.take(np.flatnonzero(~empty)) if not empty.all() else None
    if cutouts is not None:
        write_hdf5(place, cutouts)
    account = {
        "n": 0 if cutouts is None else len(cutouts),
        "skipped": skipped,
        "mask": cutouts is not None and cutouts.mask is not None,
        "ivar": cutouts is not None and cutouts.ivar is not None,
    }
    write_json(_account(place), account)
    return stop - start


def _joined(places: list[Path], dataset: Dataset, extras: dict[str, bool]) -> Iterator[Cutouts]:
    """Yield the pieces, each with every optional part that any of them has."""
    numbering = numbering_of(dataset)
    for place in places:
        piece = open_dataset(place)
        cutouts = piece.read(np.arange(len(piece)))
        shape, changes = cutouts.images.shape, {}
        if extras["mask"] and cutouts.mask is None:
            changes["mask"] = np.zeros(shape, dtype=bool)
        elif cutouts.mask is not None and cutouts.mask.ndim == 3:
            changes["mask"] = np.broadcast_to(cutouts.mask[:, None], shape)
        if extras["ivar"] and cutouts.ivar is None:
            changes["ivar"] = np.zeros(shape, dtype=np.float32)
        # A piece may by chance have one value for all of its images where the whole data set has several.
        for name in ("pixel_scale", "psf_fwhm"):
            value = getattr(cutouts, name)
            if np.ndim(getattr(dataset.info, name)) and value is not None and not np.ndim(value):
                changes[name] = np.full(len(cutouts), value)
        yield replace(cutouts, classes=dataset.info.classes, groups_from=numbering, **changes)


def _account(place: Path) -> Path:
    return place.with_suffix(".json")
