"""How far a run is and what it has found: the part of its state that is not weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor


@dataclass
class Record:
    """The counters and findings of one run; all of it is saved, and nothing else is needed to go on.

    Attributes
    ----------
    step, epoch : int
        Steps and epochs done.
    accumulate : int
        Micro-batches a step, which grows when memory runs out.
    kept : list of dict
        What each epoch since the warm-up is ranked by.
    best_epoch, best_place : int
        The epoch (from 1) whose weights are held, 0 before the first, and its place in `kept`.
    stale : int
        Epochs since then.
    history : list of dict
        One row per epoch done.
    sums : dict of str to Tensor
        Sums over the steps of the unfinished epoch, float64 scalars.
    stopped : str
        Why the run ended; empty while it has not.
    seconds : float
        Time spent in steps.
    notes : list of str
        What the run changed by itself.
    """

    step: int = 0
    epoch: int = 0
    accumulate: int = 1
    kept: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_place: int = 0
    stale: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    stopped: str = ""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def add(self, values: dict[str, Tensor]) -> None:
        """Add one step's values to the epoch's sums."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def not_finite(self, but: Collection[str] = ()) -> list[str]:
        """Return the names of sums that are NaN or infinite (a sum stays so), those in `but` excepted."""
        watched = [name for name in self.sums if name not in but]
        # One transfer for all of them: each makes a GPU wait.
        if not watched or bool(torch.isfinite(torch.stack([self.sums[name] for name in watched])).all()):
            return []
        return [name for name in watched if not bool(torch.isfinite(self.sums[name]))]

    def choose(self, scores: Sequence[float], patience: int | None) -> bool:
        """Return whether the epoch just done beats the best one; else count towards `patience`.

        Patience starts again with each improvement; at its end the run is stopped.

        Parameters
        ----------
        scores : sequence of float
            Of the epochs in `kept`, by today's knowledge: a pool's scores change as it grows.
        patience : int or None
        """
        if self.best_epoch == 0 or scores[-1] > scores[self.best_place]:
            self.best_epoch, self.best_place, self.stale = self.epoch, len(scores) - 1, 0
            return True
        self.stale += 1
        if patience is not None and self.stale >= patience:
            self.stopped = "patience"
        return False

    def state(self) -> dict[str, Any]:
        """Return everything, for :func:`galshift.training.state.save_state`."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> Record:
        """Return the record that :meth:`state` described."""
        return cls(**state | {"sums": {name: value.to(device) for name, value in state["sums"].items()}})
