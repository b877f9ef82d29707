"""Work in pieces: here, in local processes, or on a Dask cluster, with the same results in the same order.

A verb names its pieces and how one is made; what it does with the results, in their order, is its own::

    task = Task(open=_bench, make=_classified, job=Job("run", "sdss/"), needs=("run", "sdss/"))
    for piece, answers in spread(task, pieces, engine, name=lambda piece: f"images {piece.start} on"):
        ...

Job and pieces are plain data (paths, numbers, options), never open files or networks: each process opens what
it needs once, and makes piece after piece with that.  Where pieces begin does not depend on the engine.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galshift import console
from galshift.cluster import on_cluster, other_version, versions
from galshift.crew import in_crew
from galshift.errors import ResourceError

# One process has one number of threads, one working directory and one set of what is open.
_LOCK = threading.Lock()
_OPEN: dict[str, Any] = {}


@dataclass(frozen=True)
class Engine:
    """Who makes the pieces.

    Attributes
    ----------
    workers : int
        Processes of this machine; 1: this one.
    scheduler : str or None
        Address of a Dask scheduler, whose workers then make all of them.
    """

    workers: int = 1
    scheduler: str | None = None

    @property
    def alone(self) -> bool:
        """Whether this process makes everything."""
        return self.scheduler is None and self.workers < 2


HERE = Engine()


@dataclass(frozen=True)
class Task:
    """How a piece is made.

    Attributes
    ----------
    open : callable
        Takes the job and returns what all of its pieces need: networks, open data.
    make : callable
        Takes that and a piece, and returns the piece's result.  Both are functions of a module.
    job : object
        Small and picklable.
    needs : sequence of path
        Files and folders that every worker must find under the same path.
    """

    open: Callable[[Any], Any]
    make: Callable[[Any, Any], Any]
    job: Any
    needs: Sequence[str | Path] = ()


def spread(
    task: Task,
    pieces: Sequence[Any],
    engine: Engine = HERE,
    *,
    name: Callable[[Any], str] = str,
    bench: Any = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield each piece with its result, in order; few are under way, and no more in memory.

    Parameters
    ----------
    task : Task
    pieces : sequence
        Picklable, bounded in memory.
    engine : Engine
    name : callable
        What a piece is called in messages.
    bench : object, optional
        What ``task.open(task.job)`` returns, where this process has it already.

    Raises
    ------
    ResourceError
        When workers cannot be had, differ from this process, do not see the files, or die of one piece.
    """
    if not pieces:
        return
    if engine.scheduler is not None:
        shipped = _Shipped.of(task)
        yield from on_cluster(shipped.do, pieces, engine.scheduler, name, shipped.forget)
    elif engine.workers > 1 and len(pieces) > 1:
        yield from in_crew(_Shipped.of(task).do, pieces, engine.workers, name)
    else:
        bench = task.open(task.job) if bench is None else bench
        for piece in pieces:
            yield piece, task.make(bench, piece)


@dataclass(frozen=True)
class _Shipped:
    """A task on its way, with all that must be the same where it arrives."""

    task: Task
    token: str
    folder: str
    words: tuple[str, ...]
    versions: Mapping[str, str]
    sizes: Mapping[str, int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task) -> _Shipped:
        """Return `task` as this process would make it."""
        sizes = {str(path): _size(Path(path)) for path in task.needs if Path(path).exists()}
        return cls(task, uuid.uuid4().hex, os.getcwd(), tuple(sys.argv), versions(), sizes)

    def do(self, piece: Any) -> Any:
        """Make one piece in a worker; what the task opens stays open until another task comes."""
        with _LOCK, self._at_home():
            if self.token not in _OPEN:
                self._check()
                _OPEN.clear()
                _OPEN[self.token] = self.task.open(self.task.job)
            return self.task.make(_OPEN[self.token], piece)

    def forget(self) -> None:
        """Close in a worker what was opened for this task."""
        _OPEN.pop(self.token, None)

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Work in the folder where the command was typed, and with its words, quietly."""
        words, folder = sys.argv, os.getcwd()
        try:
            os.chdir(self.folder)
        except OSError:
            raise _unseen(self.folder) from None
        sys.argv = list(self.words)
        try:
            with console.muted_for_now():
                yield
        finally:
            sys.argv = words
            os.chdir(folder)

    def _check(self) -> None:
        for package, wanted in self.versions.items():
            if (found := versions().get(package)) != wanted:
                raise other_version(socket.gethostname(), package, found, wanted)
        for path, size in self.sizes.items():
            if not Path(path).exists() or (size is not None and _size(Path(path)) != size):
                raise _unseen(path)


def _size(path: Path) -> int | None:
    """Bytes of a file; None for a folder."""
    return path.stat().st_size if path.is_file() else None


def _unseen(path: str) -> ResourceError:
    return ResourceError(
        f"the worker on {socket.gethostname()} does not see it as this command does",
        where=path,
        hint="workers need the same files under the same paths, such as a shared file system",
    )
