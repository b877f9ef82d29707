"""One command started as several processes (torchrun, srun): the first owns the run, the others help it.

Every process runs the same step, so that all meet in the same collective operations; what the others write
goes into a scratch folder that is thrown away, and they say nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galshift import console
from galshift.errors import GalshiftError, UsageError
from galshift.rundirectory import RunDirectory
from galshift.training.world import World, world_from
from galshift.verbs._base import Step

_WORK, _DONE = "work", "done"


def world_of(step: Step) -> World:
    """Return this process's place, refusing several processes for a step that is the work of one.

    Raises
    ------
    UsageError
        Under torchrun or srun with more than one task, for a step that is not `distributed`.
    """
    world = world_from(os.environ)
    if world.size > 1 and not step.distributed:
        raise UsageError(
            f"{step.kind} runs as one process, and {world.launcher} started {world.size}",
            hint="start it without the launcher; train, adapt and pretrain use several processes",
        )
    return world


@contextmanager
def opened(path: Path, prepared_as: dict, *, overwrite: bool, world: World) -> Iterator[RunDirectory]:
    """Open the run directory as its owner, and tell the other processes how that went."""
    try:
        run = RunDirectory.open(path, **prepared_as, overwrite=overwrite)
    except GalshiftError as error:
        _announce(error.exit_code, world)
        raise
    with run:
        _announce(_DONE if run.done else _WORK, world)
        yield run


@contextmanager
def followed(path: Path, prepared_as: dict, world: World) -> Iterator[RunDirectory | None]:
    """Yield a scratch run directory to help in, or None when the run is finished already.

    Raises
    ------
    SystemExit
        When the first process could not open the run directory; it has said why.
    """
    console.mute()
    word = _announce(None, world)
    if word == _DONE:
        yield None
    elif word == _WORK:
        with (
            tempfile.TemporaryDirectory(prefix="galshift-helper-") as folder,
            RunDirectory.open(Path(folder) / path.name, **prepared_as) as run,
        ):
            yield run
    else:
        raise SystemExit(word)


def _announce(word: str | int | None, world: World) -> str | int:
    """Pass the first process's word on to all."""
    if world.size == 1:
        return word
    from galshift.training import parallel

    return parallel.from_first(word, parallel.connect())
