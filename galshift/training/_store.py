"""The files of an unfinished run: its state, and the weights of its best epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from galshift.errors import DataError
from galshift.training.state import BEST_FILES, STATE_FILE, load_state, save_state


class Store:
    """The state on disk, each file replaced by rename.

    The best epoch's weights have a file of their own per epoch, which the state names and which is written
    before it: whatever the moment of a kill, the two cannot disagree.

    Parameters
    ----------
    directory : Path
    identity : str
        What a saved state must belong to.
    """

    def __init__(self, directory: Path, identity: str) -> None:
        self.directory, self.identity = directory, identity
        self._held: tuple[int, dict[str, Any]] = (0, {})

    def save(self, state: dict[str, Any], best_epoch: int) -> None:
        """Write the weights held, replace the state, and forget epochs that were best before `best_epoch`."""
        epoch, weights = self._held
        if epoch:
            save_state(self._best_file(epoch), {"model": weights})
            self._held = (0, {})
        save_state(
            self.directory / STATE_FILE,
            {"identity": self.identity, "threads": torch.get_num_threads(), **state},
        )
        for old in self.directory.glob(BEST_FILES):
            if old != self._best_file(best_epoch):
                old.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None when there is none.

        Raises
        ------
        DataError
            When it is damaged, or belongs to another training.
        """
        path = self.directory / STATE_FILE
        if not path.is_file():
            return None
        state = load_state(path)
        if state.pop("identity") != self.identity:
            raise DataError(
                "this directory holds the state of another training",
                where=path,
                hint="choose another directory, or remove the file",
            )
        # The order of a sum depends on the number of threads, and the last bits on the order.
        torch.set_num_threads(state.pop("threads"))
        return state

    def hold(self, epoch: int, weights: dict[str, Any]) -> None:
        """Hold a copy of the weights of `epoch` until the next :meth:`save`; writing each would cost time."""
        copies = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
        self._held = (epoch, copies)

    def best(self, epoch: int) -> dict[str, Any]:
        """Return the weights of `epoch`."""
        return load_state(self._best_file(epoch))["model"]

    def _best_file(self, epoch: int) -> Path:
        return self.directory / f"best-{epoch:05d}.safetensors"
