"""Local worker processes that share out pieces of work: one piece each at a time, results in order.

A worker that dies costs the piece it had, which another makes again; a piece that takes three workers with it
is named, and the work stops.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from galshift import console
from galshift.errors import GalshiftError, ResourceError
from galshift.processes import without_main

#: Workers that a piece may take with it before it is given up.
MOST_LOSSES = 3
_SECONDS_TO_STOP = 10
_SENT = str | bytes | int | float | None  # what an exception may hold to be sent as it is


def in_crew(
    do: Callable[[Any], Any], pieces: Sequence[Any], workers: int, name: Callable[[Any], str]
) -> Iterator[tuple[Any, Any]]:
    """Yield every piece with its result, in order, made by `workers` spawned processes.

    Parameters
    ----------
    do : callable
        Picklable; takes a piece.  Each process receives it once.
    pieces : sequence
    workers : int
    name : callable
        What a piece is called in messages.

    Raises
    ------
    ResourceError
        When a piece was lost with three workers.
    Exception
        The first one, in the order of the pieces, that `do` raised.
    """
    crew = _Crew(do, min(workers, len(pieces)))
    ahead = 2 * workers  # results that wait for an earlier piece: memory does not grow with the work
    results: dict[int, tuple[bool, Any]] = {}
    again: deque[int] = deque()
    losses: Counter[int] = Counter()
    started = out = 0
    try:
        while out < len(pieces):
            for worker in crew.idle():
                if again:
                    worker.give(again.popleft(), pieces)
                elif started < min(len(pieces), out + ahead):
                    worker.give(started, pieces)
                    started += 1
            if out in results:
                good, value = results.pop(out)
                if not good:
                    raise value
                yield pieces[out], value
                out += 1
                continue
            for worker, number, answer in crew.answers():
                if answer is not None:
                    results[number] = answer
                    continue
                losses[number] += 1
                if losses[number] >= MOST_LOSSES:
                    raise lost(name(pieces[number]))
                again.append(number)
                crew.replace(worker)
    finally:
        crew.stop()


def lost(piece: str) -> ResourceError:
    """Return the error that names a piece which takes its workers with it."""
    return ResourceError(
        f"{piece}: the workers that were given this died each time, perhaps for want of memory",
        hint="repeat the command with fewer --workers or with more memory for each",
    )


def outcome(do: Callable[[Any], Any], piece: Any) -> tuple[bool, Any]:
    """Return (True, result), or (False, the exception) in a form that another process can raise."""
    try:
        return True, do(piece)
    except GalshiftError as error:
        return False, _plain(error)
    except Exception as error:  # whatever it is, the process that waits for it must learn of it
        return False, _portable(error)


def _plain(error: GalshiftError) -> GalshiftError:
    """Return the error as one of :mod:`galshift.errors`, which every process can build from its words."""
    kind = next(one for one in type(error).__mro__ if one.__module__ == GalshiftError.__module__)
    made = kind(error.what, where=error.where, hint=error.hint)
    vars(made).update({"problems": error.problems} if hasattr(error, "problems") else {})
    return made


def _portable(error: Exception) -> Exception:
    """Return the exception with its traceback as a note: Python's own as it is, of any other its words.

    Others are free in what they are built from, and not every one can be sent to another process.
    """
    text = f"in a worker:\n{traceback.format_exc()}"
    own = type(error).__module__ == "builtins" and all(isinstance(one, _SENT) for one in error.args)
    made = error if own else RuntimeError(f"{type(error).__name__}: {error}")
    made.add_note(text)
    return made


class _Worker:
    """One process, and the number of the piece that it has."""

    def __init__(self, do: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, do, sys.argv))
        with without_main():
            self.process.start()
        other.close()
        self.number: int | None = None

    def give(self, number: int, pieces: Sequence[Any]) -> None:
        """Hand over one piece."""
        self.number = number
        with suppress(ConnectionError):  # it is dead: `answer` says so, and the piece is lost with it
            self.connection.send(pieces[number])

    def answer(self) -> tuple[bool, Any] | None:
        """Return what became of the piece; None where the process has died."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            return None


class _Crew:
    """The processes that are alive."""

    def __init__(self, do: Callable[[Any], Any], workers: int) -> None:
        self._do = do
        self._workers: list[_Worker] = []
        try:
            for _ in range(workers):
                self._workers.append(_Worker(do))
        except BaseException:
            self.stop()
            raise

    def idle(self) -> list[_Worker]:
        """Return the workers without a piece."""
        return [worker for worker in self._workers if worker.number is None]

    def answers(self) -> Iterator[tuple[_Worker, int, tuple[bool, Any] | None]]:
        """Wait for a worker and yield each that is done, its piece's number and what became of that."""
        busy = {worker.connection: worker for worker in self._workers if worker.number is not None}
        for connection in wait(list(busy)):
            worker = busy[connection]
            number, worker.number = worker.number, None
            yield worker, number, worker.answer()

    def replace(self, dead: _Worker) -> None:
        """Start another process in place of one that died."""
        dead.connection.close()
        dead.process.join()
        self._workers[self._workers.index(dead)] = _Worker(self._do)

    def stop(self) -> None:
        """End every process: those at work are told to, and killed where they do not listen."""
        for worker in self._workers:
            worker.connection.close()
            if worker.number is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_SECONDS_TO_STOP)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _serve(connection: Connection, do: Callable[[Any], Any], words: list[str]) -> None:
    """Make piece after piece until nobody asks any more; what is said of the work the parent says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the parent, which stops its workers in order
    sys.argv = words  # what was typed is part of every result's account
    console.mute()
    while True:
        try:
            piece = connection.recv()
        except (EOFError, ConnectionError):
            return
        try:
            connection.send(outcome(do, piece))
        except (ConnectionError, KeyboardInterrupt):  # told to stop, work may end in order by an interrupt
            return
