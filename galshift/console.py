"""What people see: everything but results goes to stderr; results go to stdout.

Everything that is printed for people goes through :func:`galshift.plain.plain`: much of it comes from files.
Rich is imported inside the functions that draw, so that ``galshift --help`` stays quick.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from galshift.plain import one_line, plain

_LEVEL = {"value": 1}


def set_verbosity(*, quiet: bool = False, verbose: bool = False) -> None:
    """Choose how much is said on stderr for the rest of the process."""
    _LEVEL["value"] = 0 if quiet else 2 if verbose else 1


def mute() -> None:
    """Print nothing more in this process, warnings and results included: another one speaks for it."""
    _LEVEL["value"] = -1


def muted() -> bool:
    """Return whether :func:`mute` was called."""
    return _LEVEL["value"] < 0


@contextmanager
def muted_for_now() -> Iterator[None]:
    """Print nothing while the block runs: the process that asked for the work speaks of it."""
    before = _LEVEL["value"]
    mute()
    try:
        yield
    finally:
        _LEVEL["value"] = before


def say(text: str, *, detail: bool = False) -> None:
    """Print one line for people on stderr; a `detail` only with ``--verbose``."""
    if _LEVEL["value"] >= (2 if detail else 1):
        print(plain(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print a warning on stderr, also with ``--quiet``."""
    if not muted():
        print(f"warning: {plain(text)}", file=sys.stderr, flush=True)


def result(text: str) -> None:
    """Print a result on stdout."""
    if not muted():
        print(plain(text), flush=True)


def json_document(value: Any) -> None:
    """Print the one JSON document of ``--json`` on stdout."""
    from galshift.provenance import jsonable

    if not muted():
        print(json.dumps(jsonable(value), indent=2, allow_nan=False), flush=True)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, to_stdout: bool = False
) -> None:
    """Print a table; cells are shown as plain text, never as markup."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if muted() or (not to_stdout and _LEVEL["value"] < 1):
        return
    stream = sys.stdout if to_stdout else sys.stderr
    drawn = Table(title=escape(one_line(title)) or None, title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(escape(one_line(column)))
    for row in rows:
        drawn.add_row(*(escape("" if cell is None else plain(cell)) for cell in row))
    width = None if stream.isatty() else 160
    # Neither ``[red]`` nor ``:star:`` in a cell is markup.
    Console(file=stream, width=width, no_color="NO_COLOR" in os.environ or None, emoji=False).print(drawn)


def markdown(text: str) -> None:
    """Print our own Markdown as a result: set for reading on a terminal, as it is elsewhere."""
    if muted():
        return
    if not sys.stdout.isatty():
        result(text.rstrip("\n"))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(no_color="NO_COLOR" in os.environ or None).print(Markdown(text, code_theme="bw"))


class Progress:
    """One progress bar on a terminal, or a line every 30 seconds elsewhere.  Made by :func:`progress`."""

    def __init__(self, label: str, total: int | None, bar: Any = None) -> None:
        self.label, self.total, self.done = one_line(label), total, 0
        self._bar, self._task = bar, None
        self._start = self._said = time.monotonic()
        if bar is not None:
            self._task = bar.add_task(self.label, total=total)

    def advance(self, step: int = 1, note: str = "") -> None:
        """Count `step` more items done; `note` is shown beside the bar."""
        self.done += step
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, advance=step, description=f"{self.label} {one_line(note)}".rstrip())
        elif _LEVEL["value"] >= 1 and now - self._said >= 30:
            self._said = now
            rate = self.done / max(now - self._start, 1e-9)
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate > 0 else ""
            say(f"{self.label}: {self.done}/{self.total or '?'} ({rate:.3g}/s{left}) {note}".rstrip())


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Progress]:
    """Show progress of `total` items while the block runs."""
    if _LEVEL["value"] < 1 or not sys.stderr.isatty():
        yield Progress(label, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    with RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    ) as bar:
        yield Progress(label, total, bar)
