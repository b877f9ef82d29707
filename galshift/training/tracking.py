"""Where a run's numbers go, epoch by epoch: ``metrics.jsonl`` is the truth, other loggers copy it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from galshift.provenance import atomic_path, jsonable


class Tracker(Protocol):
    """Anything that wants the rows."""

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Begin, with the rows of the epochs already done (none in a new run)."""
        ...

    def row(self, row: Mapping[str, Any]) -> None:
        """Take the row of one more epoch."""
        ...

    def close(self) -> None:
        """The run has ended."""
        ...


class JsonLines:
    """``metrics.jsonl``: one row an epoch.

    A run that was killed between writing a row and saving its state does that epoch again, so the file is
    brought back to the saved history first: it never holds an epoch twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the file afresh with `rows`."""
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(map(_line, rows)), encoding="utf-8")

    def row(self, row: Mapping[str, Any]) -> None:
        """Append one row."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(row))

    def close(self) -> None:
        """Nothing is held open."""


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(jsonable(row), allow_nan=False) + "\n"
