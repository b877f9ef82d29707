"""Finished parts of a step's work on disk, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from galshift import console
from galshift.provenance import atomic_path
from galshift.rundirectory import RunDirectory

_VALUE = "value"


@dataclass(frozen=True)
class Part:
    """One finished part: a JSON value, in which NaN is allowed, and arrays by name."""

    value: Any = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class PartialResults:
    """The finished parts of a run, one file each, which is there whole or not at all.

    A part is the same bits whether it was computed now or read back, so a resumed run ends in the same
    result.  The folder is made with the first part.

    Parameters
    ----------
    run : RunDirectory
    """

    def __init__(self, run: RunDirectory) -> None:
        self.folder = run.path / "partial"
        self._run = run

    def __len__(self) -> int:
        return sum(1 for _ in self.folder.glob("[!.]*.npz"))

    def say(self, what: str) -> None:
        """Say and log how many parts, called `what`, an earlier try left, if any."""
        if len(self):
            line = f"{len(self)} {what} were done already"
            console.say(line)
            self._run.log(line)

    def once(self, make: Callable[[], Part], *words: str | int) -> Part:
        """Return the part called `words`, read back where it is there, else made, and then on disk."""
        file = self._file(words)
        if not file.is_file():
            part = make()
            text = json.dumps(part.value, default=lambda number: number.tolist()).encode()
            with atomic_path(file) as temporary:
                np.savez(temporary, **part.arrays, **{_VALUE: np.frombuffer(text, np.uint8)})
            return Part(json.loads(text), part.arrays)
        return self.read(*words)

    def read(self, *words: str | int) -> Part:
        """Return the part called `words`, which is on disk."""
        with np.load(self._file(words), allow_pickle=False) as held:
            arrays = {key: held[key] for key in held.files}
        return Part(json.loads(arrays.pop(_VALUE).tobytes()), arrays)

    def holds(self, *words: str | int) -> bool:
        """Return whether the part called `words` is on disk."""
        return self._file(words).is_file()

    def _file(self, words: Sequence[str | int]) -> Path:
        return self.folder / f"{' '.join(quote(str(word), safe='') for word in words)}.npz"

    def clear(self) -> None:
        """Remove every part, once the result is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
