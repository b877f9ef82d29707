"""The arithmetic of a run: which step is what, and which images it takes, all as functions of the step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from galshift.training.config import TrainConfig
from galshift.training.schedule import (
    adaptation_progress,
    cycle_factor,
    inverse_factor,
    lr_factor,
    step_factor,
)
from galshift.training.sets import ANY_ORDER, Mixing, batch_indices


@dataclass(frozen=True)
class Plan:
    """The steps of one run.

    Attributes
    ----------
    config : TrainConfig
    seed : int
    n_source, n_target : int
        Training images of each domain; 0 for a domain that takes no part in the steps.
    parts : int
        Into how many equal parts a batch must divide (devices).
    aim : str
        What a step that sees the target is for, in one word.
    mixing : pair of (int, int)
        How a pass may go through the source and through the target; see `TrainingSet.mixing`.
    n_labelled : int
        Training images of the target with labels, which every step sees from the first.
    """

    config: TrainConfig
    seed: int
    n_source: int
    n_target: int
    parts: int = 1
    aim: str = "adapt"
    mixing: tuple[Mixing, Mixing] = (ANY_ORDER, ANY_ORDER)
    n_labelled: int = 0

    @property
    def batch_size(self) -> int:
        """Images per domain and step: as configured, but no more than the smaller domain has."""
        available = [n for n in (self.n_source, self.n_target) if n > 0]
        size = min(self.config.batch_size, *available)
        return max(size - size % self.parts, self.parts)

    @property
    def labelled_size(self) -> int:
        """Labelled target images per step: all of them, or a batch of many; two at least, for batch norm."""
        size = min(self.config.batch_size, max(self.n_labelled, 2))
        return max(size - size % self.parts, self.parts)

    @property
    def steps_per_epoch(self) -> int:
        """As many steps as show every source image once (every target image, without a source)."""
        return self.config.steps_per_epoch or -(-(self.n_source or self.n_target) // self.batch_size)

    @property
    def total_steps(self) -> int:
        """All steps, the warm-up included."""
        return self.config.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Steps on the source alone."""
        return self.config.warmup * self.steps_per_epoch if self.n_source and self.n_target else 0

    def adapting(self, step: int) -> bool:
        """Whether `step` sees the target."""
        return self.n_target > 0 and step >= self.warmup_steps

    def phase(self, step: int) -> str:
        """Return ``train``, ``warm-up``, or the aim, such as ``adapt``."""
        if self.n_target == 0:
            return "train"
        return self.aim if self.adapting(step) else "warm-up"

    def progress(self, step: int) -> float:
        """Fraction of the adaptation steps done, in [0, 1]."""
        return adaptation_progress(step, self.warmup_steps, self.total_steps)

    def lr(self, step: int) -> float:
        """Learning rate of `step`."""
        config = self.config
        shape, ramp, final = config.schedule, config.lr_ramp, config.lr_final
        if shape in ("cosine", "constant"):
            return config.lr * lr_factor(step, self.total_steps, ramp=ramp, final=final, shape=shape)
        rise = lr_factor(step, self.total_steps, ramp=ramp, final=final, shape="constant")
        return config.lr * rise * self._shape(step)

    def _shape(self, step: int) -> float:
        """The factor of a schedule that is a matter of epochs, or of the share of all steps done."""
        config = self.config
        if config.schedule == "step":
            return step_factor(step // self.steps_per_epoch, config.lr_milestones, config.lr_decay)
        if config.schedule == "cycle":
            return cycle_factor(step / self.steps_per_epoch, config.lr_cycle)
        return inverse_factor(step / self.total_steps)

    def indices(self, domain: str, step: int) -> Tensor | None:
        """Return the (B,) images that `step` takes of a domain, or None when it takes none.

        The domains are ``source``, ``target``, whose stream begins with the adaptation, and ``labelled``.
        """
        if domain == "labelled":
            n, size = self.n_labelled, self.labelled_size
            return batch_indices(n, self.seed, domain, step * size, size) if n else None
        n = self.n_source if domain == "source" else self.n_target
        if n == 0 or (domain == "target" and not self.adapting(step)):
            return None
        number = step - (self.warmup_steps if domain == "target" else 0)
        mixing = self.mixing[domain == "target"]
        return batch_indices(n, self.seed, domain, number * self.batch_size, self.batch_size, mixing)

    def draws(self, domain: str, step: int) -> Tensor | None:
        """Return, (B,) for the images of :meth:`indices`, the number (from 0) of the pass that shows them."""
        if domain == "labelled":
            size = self.labelled_size
            return (
                torch.arange(step * size, (step + 1) * size) // self.n_labelled if self.n_labelled else None
            )
        n = self.n_source if domain == "source" else self.n_target
        if n == 0 or (domain == "target" and not self.adapting(step)):
            return None
        number = step - (self.warmup_steps if domain == "target" else 0)
        return torch.arange(number * self.batch_size, (number + 1) * self.batch_size) // n
