"""Steps of a recipe that do not wait for one another, run at the same time: matrix cells, and more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from galshift import console
from galshift.errors import Interrupted
from galshift.recipes.execute import Executed, perform, termination_as_interrupt
from galshift.recipes.planned import Planned
from galshift.recipes.prepare import Prepared
from galshift.rundirectory import RunDirectory
from galshift.spread import Engine, Task, spread
from galshift.training.world import world_from
from galshift.verbs._base import Context

# How torchrun and srun tell a process of its peers: workers that srun started are no group that trains.
_OF_PEERS = ("RANK", "WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID")


@dataclass(frozen=True)
class _Cell:
    name: str
    prepared: Prepared
    directory: Path
    product: str
    context: Context


@dataclass(frozen=True)
class _Done:
    results: dict[str, Any]
    skipped: bool


def waves(plan: Mapping[str, Planned]) -> list[list[str]]:
    """Return the names of the steps in groups: each reads only what earlier groups make."""
    depth: dict[str, int] = {}
    for name, planned in plan.items():
        depth[name] = 1 + max((depth[other] for other in planned.needs), default=-1)
    return [
        [name for name in plan if depth[name] == level]
        for level in range(1 + max(depth.values(), default=-1))
    ]


def spreads(planned: Planned, engine: Engine) -> bool:
    """Return whether a step alone makes more of `engine` than one worker would: its pieces are shared out."""
    wanted = "scheduler" if engine.scheduler else "workers"
    return wanted in planned.prepared.step.resources


def run_cells(
    cells: Sequence[Planned], context: Context, engine: Engine
) -> Iterator[tuple[Planned, Executed]]:
    """Run steps that do not read one another, each whole in one worker, and yield them in order.

    Parameters
    ----------
    cells : sequence of Planned
    context : Context
        As for a step that runs here; in a worker a step has that worker alone.
    engine : Engine

    Raises
    ------
    Interrupted
        When stopped.
    GalshiftError
        The first failure, in their order; what is under way is stopped, and resumed next time if it can be.
    """
    import torch  # heavy, and of no use to a recipe that is not run

    work = [
        _Cell(
            planned.name,
            planned.prepared,
            planned.directory,
            planned.product,
            replace(context, scheduler=None, upstream=planned.prepared.inputs.upstream),
        )
        for planned in cells
    ]
    task = Task(open=_opened, make=_perform, job=torch.get_num_threads())
    made = spread(task, work, engine, name=lambda cell: f"step '{cell.name}'")
    try:
        with termination_as_interrupt():
            for planned, (_, done) in zip(cells, made):
                step = planned.prepared.step
                console.say(f"{planned.name}: done")
                run = RunDirectory(planned.directory, step.kind, planned.prepared.fingerprint)
                yield planned, Executed(run, done.results, done.skipped, step)
    except KeyboardInterrupt:
        made.close()  # stops what is under way
        hint = "repeat the command to resume"
        raise Interrupted("stopped", where=cells[0].directory.parent, hint=hint) from None


def _opened(threads: int) -> int:
    return threads


def _perform(threads: int, cell: _Cell) -> _Done:
    from galshift.training.threads import cpu_threads

    with cpu_threads(threads), _no_peers():
        done = perform(
            cell.prepared, cell.directory, overwrite=False, context=cell.context, product=cell.product
        )
    return _Done(done.results, done.skipped)


@contextmanager
def _no_peers() -> Iterator[None]:
    """Be one process, on the GPU that this one of several has."""
    import torch

    world = world_from(os.environ)
    hidden = {name: os.environ.pop(name) for name in _OF_PEERS if name in os.environ}
    if world.size > 1 and torch.cuda.is_available():
        torch.cuda.set_device(world.local_rank % torch.cuda.device_count())
    try:
        yield
    finally:
        os.environ.update(hidden)
