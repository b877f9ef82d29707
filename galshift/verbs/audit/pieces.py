"""A model's images under one kind of damage, some at a time: what makes them anywhere, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from galshift.audit.corruptions import CORRUPTIONS
from galshift.audit.corruptions._base import SEVERITIES, Frame
from galshift.audit.withstand import Subject, right_after
from galshift.data.cutouts import Dataset
from galshift.data.paths import files_of
from galshift.data.preprocess import Preprocessing
from galshift.errors import DataError
from galshift.runs.classifiers import Classifier
from galshift.runs.linear_images import BLOCK, BlockReader, Blocks, blocks_of
from galshift.runs.partial import Part, PartialResults
from galshift.runs.test_sets import TestSet
from galshift.spread import HERE, Engine, Task, spread
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.training.device import choose_device
from galshift.training.threads import cpu_threads, suited_threads

#: Images of a piece: whole batches, so that the batches are those of one pass over everything.
PIECE = 512
CLEAN = "clean"


@dataclass(frozen=True)
class _Network:
    """One model where it is used, with its images."""

    name: str
    model: nn.Module
    pre: Preprocessing
    reader: BlockReader
    threads: int


@dataclass(frozen=True)
class _Job:
    networks: tuple[str, ...]
    names: tuple[str, ...]
    threads: tuple[int, ...]
    reopen: Callable[[], Dataset] | None
    device: str
    seed: int


@dataclass(frozen=True)
class _Bench:
    networks: tuple[_Network, ...]
    seed: int


@dataclass(frozen=True)
class _Images:
    """Some images, with their labels in one model's classes."""

    blocks: Blocks
    labels: np.ndarray
    ids: tuple[str, ...]


@dataclass(frozen=True)
class _Piece:
    """Some images of one model under one damage; clean ones have severity 0."""

    model: int
    kind: str
    severity: int
    images: _Images


class Audited:
    """Models, and the images that all of them can take.

    Parameters
    ----------
    classifiers : sequence of Classifier
    test_set : TestSet
    data : str
        What the test set was called, for messages.
    device, seed
        As of the audit.

    Attributes
    ----------
    keep : ndarray
        (N,) bool, which images of the test set every model can take.
    n_bands : int
        Of the first model.

    Raises
    ------
    DataError
        When there is no such image.
    """

    def __init__(
        self, classifiers: Sequence[Classifier], test_set: TestSet, data: str, device: str, seed: int
    ) -> None:
        self._classifiers, self._test_set = classifiers, test_set
        names = tuple(one.name for one in classifiers)
        paths = tuple(str(one.trained.path) for one in classifiers)
        threads = tuple(suited_threads(one.trained.model) for one in classifiers)
        dataset = test_set.dataset
        self._job = _Job(paths, names, threads, getattr(dataset, "reopen", None), device, seed)
        for one in classifiers:
            one.trained.preprocessing.check(dataset.info, test_set.name)
        trained = [one.trained for one in classifiers]
        self._bench = _bench(self._job, trained, dataset)
        finite = [self._finite(network) for network in self._bench.networks]
        self.keep = np.logical_and.reduce(finite)
        if not self.keep.any():
            raise DataError("no image is finite in every band", where=data)
        self.n_bands = len(trained[0].preprocessing.bands)

    def _finite(self, network: _Network) -> np.ndarray:
        rows = self._test_set.rows
        found = []
        for start in range(0, len(rows), BLOCK):
            blocks = blocks_of(rows, np.arange(start, min(start + BLOCK, len(rows))))
            found.append(torch.isfinite(network.reader.read(blocks)).all(dim=(1, 2, 3)).numpy())
        return np.concatenate(found)

    def first(self) -> Subject:
        """Return the first model with the first image that all can take."""
        return _subject(self._bench.networks[0], self._images(0, np.flatnonzero(self.keep)[:1]))

    def outcomes(
        self,
        kinds: Sequence[str],
        partial: PartialResults,
        engine: Engine,
        progress: Callable[[int, str], None],
    ) -> list[dict[str, np.ndarray]]:
        """Return for each model which images stay right, (N,) bool clean and (5, N) under each damage.

        What `partial` holds is not done again.  `progress` is told of each finished model and damage.
        """
        cells = [(CLEAN, 0), *((kind, severity) for kind in kinds for severity in SEVERITIES)]
        wanted = [(model, *cell) for model in range(len(self._classifiers)) for cell in cells]
        for number, kind, severity in wanted:
            if partial.holds(number, kind, severity):
                progress(number, f"{kind} {severity}")
        missing = [cell for cell in wanted if not partial.holds(*cell)]
        for cell, found in self._made(missing, engine):
            partial.once(lambda found=found: Part(arrays={"right": found}), *cell)
            progress(cell[0], f"{cell[1]} {cell[2]}")
        return [self._joined(number, kinds, partial) for number in range(len(self._classifiers))]

    def _made(
        self, cells: Sequence[tuple[int, str, int]], engine: Engine
    ) -> Iterator[tuple[tuple[int, str, int], np.ndarray]]:
        """Yield each cell with its (N,) bool, in order."""
        usable = np.flatnonzero(self.keep)
        parts = [usable[start : start + PIECE] for start in range(0, len(usable), PIECE)]
        images = [[self._images(model, part) for part in parts] for model in range(len(self._classifiers))]
        pieces = [_Piece(*cell, part) for cell in cells for part in images[cell[0]]]
        needs = (*self._job.networks, *files_of(str(self._test_set.dataset.path)))
        task = Task(open=_opened, make=_made, job=self._job, needs=needs)
        engine = HERE if self._job.reopen is None else engine
        bench = self._bench if engine.alone else None
        rights: list[np.ndarray] = []
        for piece, right in spread(task, pieces, engine, name=_name, bench=bench):
            rights.append(right)
            if len(rights) == len(parts):
                yield (piece.model, piece.kind, piece.severity), np.concatenate(rights)
                rights = []

    def _images(self, model: int, positions: np.ndarray) -> _Images:
        classes = list(self._classifiers[0].trained.classes)
        own = np.array([self._classifiers[model].trained.classes.index(name) for name in classes])
        test_set = self._test_set
        ids = tuple(str(name) for name in np.asarray(test_set.ids)[positions])
        return _Images(blocks_of(test_set.rows, positions), own[test_set.labels[positions]], ids)

    def _joined(self, model: int, kinds: Sequence[str], partial: PartialResults) -> dict[str, np.ndarray]:
        def right(kind: str, severity: int) -> np.ndarray:
            return partial.read(model, kind, severity).arrays["right"]

        damaged = {kind: np.stack([right(kind, severity) for severity in SEVERITIES]) for kind in kinds}
        return {CLEAN: right(CLEAN, 0), **damaged}


def _name(piece: _Piece) -> str:
    damage = f"{piece.kind} {piece.severity}" if piece.severity else CLEAN
    return f"{damage}, {len(piece.images.ids)} images from {piece.images.ids[0]} on"


def _opened(job: _Job) -> _Bench:
    return _bench(job, [load_checkpoint(path) for path in job.networks], job.reopen())


def _bench(job: _Job, trained: Sequence[Trained], dataset: Dataset) -> _Bench:
    place = choose_device(job.device, "float32").device
    networks = tuple(
        _Network(
            name,
            one.model.to(place).eval(),
            one.preprocessing,
            BlockReader(one.preprocessing, dataset),
            threads,
        )
        for name, one, threads in zip(job.names, trained, job.threads, strict=True)
    )
    return _Bench(networks, job.seed)


def _subject(network: _Network, images: _Images) -> Subject:
    frame = Frame(np.asarray(network.pre.sky_sigma))
    linear = network.reader.read(images.blocks)
    return Subject(network.name, network.model, network.pre.stretch, linear, images.labels, images.ids, frame)


def _made(bench: _Bench, piece: _Piece) -> np.ndarray:
    network = bench.networks[piece.model]
    kind = CORRUPTIONS.get(piece.kind)() if piece.severity else None
    with cpu_threads(network.threads):
        return right_after(_subject(network, piece.images), piece.kind, kind, piece.severity, bench.seed)
