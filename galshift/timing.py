"""Where the seconds of a step go: ``--profile``.

Parts are named where the work is done, by :func:`part` or :func:`timed`.  Without a profile both do nothing:
no clock is read and no GPU is waited for.  A part inside another one is not counted in that other one too, so
that the parts and what is left, ``other``, add up to the whole.

What counts is the thread that the step runs in: views that a second thread draws ahead cost what the step
waits for them.  On a GPU every part ends when the GPU has done it; a run without a profile does not wait.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

_P, _R = ParamSpec("_P"), TypeVar("_R")

OTHER = "other"
#: In the order in which a table has them.
PARTS = (
    "reading",
    "simulation",
    "observation",
    "views",
    "network",
    "losses",
    "optimizer",
    "validation",
    "attack",
    "evaluation",
    "pages",
    OTHER,
)

_NOTHING: AbstractContextManager[None] = nullcontext()
_active: Profile | None = None


class Profile:
    """Seconds by part, from when it is made.  Made by :func:`profiled`.

    Attributes
    ----------
    seconds : dict of str to float
        Of every part so far, that of the innermost part alone.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open = [OTHER]
        self._thread = threading.get_ident()
        self._mark = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the block as `name`; in another thread than the step's, nothing."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._count()
        self._open.append(name)
        try:
            yield
        finally:
            self._count()
            self._open.pop()

    def document(self) -> dict[str, float]:
        """Return the seconds of every part that took any, in the order of `PARTS`, and their ``total``."""
        self._count()
        rows = {name: round(self.seconds[name], 4) for name in PARTS if self.seconds.get(name)}
        return {**rows, "total": round(sum(rows.values()), 4)}

    def _count(self) -> None:
        """Give the seconds since the last call to the innermost open part."""
        _settle()
        now = time.perf_counter()
        name = self._open[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._mark
        self._mark = now


@contextmanager
def profiled(wanted: bool = True) -> Iterator[Profile | None]:
    """Profile the block where that is `wanted`; the block gets the profile, or None."""
    global _active
    if not wanted:
        yield None
        return
    before, _active = _active, Profile()
    try:
        yield _active
    finally:
        _active = before


def part(name: str) -> AbstractContextManager[None]:
    """Count the block as the part `name` of `PARTS`, where there is a profile."""
    return _NOTHING if _active is None else _active.part(name)


def timed(name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Count every call of a function as the part `name` of `PARTS`, where there is a profile."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            if _active is None:
                return function(*args, **kwargs)
            with _active.part(name):
                return function(*args, **kwargs)

        return call

    return decorate


def rows_of(profiles: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of a table of several steps' profiles, with their sums last.

    Parameters
    ----------
    profiles : mapping of str to mapping of str to float
        What :meth:`Profile.document` said of each step.
    """
    shown = [name for name in (*PARTS, "total") if any(name in one for one in profiles.values())]
    listed: dict[str, Any] = dict(profiles)
    if len(profiles) > 1:
        listed["all"] = {name: sum(one.get(name, 0.0) for one in profiles.values()) for name in shown}
    cells = [
        [step, *(f"{one[name]:.2f}" if name in one else "" for name in shown)] for step, one in listed.items()
    ]
    return ["seconds", *shown], cells


def _settle() -> None:
    """Wait for a GPU that is at work, so that a part is not counted in the one that waits for it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
