"""A few images at a time for one attacked model: what a search elsewhere needs, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from galshift.audit.attack import Images, Row, Setting, Tools, attack, tools_for
from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Scene
from galshift.data.cutouts import Dataset
from galshift.data.paths import files_of
from galshift.runs.linear_images import BlockReader, Blocks, blocks_of
from galshift.runs.test_sets import TestSet
from galshift.spread import Engine, Task, spread
from galshift.training.checkpoint import load_checkpoint
from galshift.training.device import choose_device
from galshift.training.memory import held_memory
from galshift.training.threads import cpu_threads
from galshift.verbs.one_pixel_attack.config import OnePixelAttackConfig
from galshift.verbs.one_pixel_attack.models import Attacked

#: Images of a piece, where they do not search together; so many are searched anew when a worker is lost.
_TOGETHER = 8


@dataclass(frozen=True)
class _Job:
    network: str
    reopen: Callable[[], Dataset]
    device: str
    threads: int
    config: OnePixelAttackConfig
    scene: Scene
    target: int | None
    classes: tuple[str, ...]


@dataclass(frozen=True)
class _Piece:
    """Some images: where their pixels stand, their labels in the model's classes, and their ids."""

    blocks: Blocks
    labels: np.ndarray
    ids: tuple[str, ...]


@dataclass(frozen=True)
class _Bench:
    job: _Job
    setting: Setting
    reader: BlockReader
    tools: Tools
    bands: tuple[str, ...]


def rows_elsewhere(
    one: Attacked,
    test_set: TestSet,
    todo: Sequence[int],
    config: OnePixelAttackConfig,
    device: str,
    threads: int,
    engine: Engine,
) -> Iterator[Row]:
    """Yield the rows of the images `todo` of one model, in order, searched by the workers of `engine`."""
    images, setting = one.images, one.setting
    step = config.de.together if config.search == "de" else _TOGETHER
    pieces = [
        _Piece(
            blocks_of(test_set.rows, np.asarray(part)),
            images.labels[part],
            tuple(str(images.ids[i]) for i in part),
        )
        for part in ([*todo[start : start + step]] for start in range(0, len(todo), step))
    ]
    trained, dataset = one.classifier.trained, test_set.dataset
    job = _Job(
        str(trained.path),
        dataset.reopen,
        device,
        threads,
        config,
        setting.scene,
        setting.target,
        tuple(images.classes),
    )
    task = Task(open=_opened, make=_made, job=job, needs=(trained.path, *files_of(str(dataset.path))))
    for _, rows in spread(task, pieces, engine, name=_name):
        yield from rows


def _name(piece: _Piece) -> str:
    last = f" to {piece.ids[-1]}" if len(piece.ids) > 1 else ""
    return f"images {piece.ids[0]}{last}"


def _opened(job: _Job) -> _Bench:
    trained = load_checkpoint(job.network)
    pre = trained.preprocessing
    model = trained.model.to(choose_device(job.device, "float32").device).eval()
    fault = FAULTS.get(job.config.fault.kind)(job.config.fault.config)
    setting = Setting(model, pre.stretch, fault, job.scene, pre.image_dependent, job.target)
    with cpu_threads(job.threads):
        tools = tools_for(setting, (len(pre.bands), pre.size, pre.size), job.config)
    return _Bench(job, setting, BlockReader(pre, job.reopen()), tools, tuple(pre.bands))


def _made(bench: _Bench, piece: _Piece) -> list[Row]:
    job = bench.job
    images = Images(
        bench.reader.read(piece.blocks), piece.labels, piece.ids, list(job.classes), list(bench.bands)
    )
    with cpu_threads(job.threads), held_memory():
        return list(attack(bench.setting, images, job.config, tools=bench.tools))
