"""One row an image, written to disk as it is found, so that a killed attack goes on where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from galshift.provenance import jsonable

PARTIAL = "partial"


class RowStore:
    """Rows of one attacked model in ``<name>.jsonl``, their maps in ``<name>.maps``.

    The map is written and flushed before its row, and a row counts only with its line feed: whatever
    instant the process dies at, what is read back is whole rows with their maps.

    Parameters
    ----------
    folder : Path
    name : str
    side : int
        Maps are (side, side) float32.
    """

    def __init__(self, folder: Path, name: str, side: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rows_path, self._maps_path = folder / f"{name}.jsonl", folder / f"{name}.maps"
        self._side = side
        self.rows: list[dict[str, Any]] = []
        self._recover()

    @property
    def done(self) -> frozenset[str]:
        """Ids of the images that need no more work."""
        return frozenset(row["id"] for row in self.rows)

    def append(self, values: dict[str, Any], vulnerability: np.ndarray | None) -> None:
        """Add one row and its map (side, side); on return both are on disk."""
        n_maps = sum(row["map"] is not None for row in self.rows)
        row = {**jsonable(values), "map": None if vulnerability is None else n_maps}
        if vulnerability is not None:
            with self._maps_path.open("r+b" if self._maps_path.exists() else "w+b") as stream:
                stream.seek(n_maps * self._bytes)
                stream.write(np.ascontiguousarray(vulnerability, dtype="<f4").tobytes())
                stream.truncate()
                _flush(stream)
        with self._rows_path.open("ab") as stream:
            stream.write((json.dumps(row, allow_nan=False) + "\n").encode())
            _flush(stream)
        self.rows.append(row)

    def maps(self) -> np.ndarray:
        """Return every map, (M, side, side) float32, in the order of the rows that have one."""
        n_maps = sum(row["map"] is not None for row in self.rows)
        if not n_maps:
            return np.zeros((0, self._side, self._side), np.float32)
        held = np.fromfile(self._maps_path, dtype="<f4", count=n_maps * self._side**2)
        return held.reshape(n_maps, self._side, self._side).astype(np.float32)

    @property
    def _bytes(self) -> int:
        return 4 * self._side**2

    def _recover(self) -> None:
        """Read whole rows back and cut off a torn one."""
        if not self._rows_path.is_file():
            return
        whole, _, torn = self._rows_path.read_bytes().rpartition(b"\n")
        held = self._maps_path.stat().st_size // self._bytes if self._maps_path.is_file() else 0
        valid = b""
        for line in whole.splitlines():
            row = json.loads(line)
            if row["map"] is not None and row["map"] >= held:
                break
            self.rows.append(row)
            valid += line + b"\n"
        if torn or len(valid) != len(whole) + 1:
            with self._rows_path.open("r+b") as stream:
                stream.truncate(len(valid))


def _flush(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())
