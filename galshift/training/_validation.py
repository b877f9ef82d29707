"""What an epoch is worth: the source's validation values, and the score that chooses the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galshift.methods._base import Method
from galshift.selection._base import Candidate
from galshift.timing import timed
from galshift.training import validate
from galshift.training.job import TrainingJob
from galshift.training.sets import TrainingSet
from galshift.types import Output


class Validation:
    """Validates and scores a model after every epoch; it never holds a target label.

    Parameters
    ----------
    job : TrainingJob
        Its `selector` is a function that returns a score, or a selector, whose ``compare`` ranks all epochs
        so far afresh.  Without it the validation loss decides.
    method : Method
    """

    def __init__(self, job: TrainingJob, method: Method) -> None:
        self.job, self.method = job, method
        # The network sees the same unaugmented images after every epoch.
        limit = job.training.select_limit
        self._valid = None if job.valid is None else job.held_inputs(job.valid)
        self._target = None if job.target is None else job.held_inputs(job.target, limit)
        self.latest: Output | None = None

    @timed("validation")
    def measure(self, model: nn.Module, epoch: int) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the validation values of `model` after `epoch` epochs, and what it is ranked by."""
        row: dict[str, float] = {}
        selector, valid = self.job.selector, self.outputs(model)
        if valid is not None:
            row = validate.validation_row(valid, self.job.valid.labels, self.job.criterion, self.job.head)
        if selector is None:
            by = {
                "last": lambda: float(epoch),
                "source-accuracy": lambda: row["valid_accuracy"],
                "total-loss": lambda: -row["valid_loss"] - self._between(model, valid),
            }
            return row, {"score": by.get(self.job.training.select, lambda: -row["valid_loss"])()}
        candidate = self._candidate(model, valid)
        if not hasattr(selector, "measure"):
            return row, {"score": float(selector(candidate))}
        return row, {name: _stored(value) for name, value in selector.measure(candidate).items()}

    def outputs(self, model: nn.Module) -> Output | None:
        """Return the outputs of `model` on the source's validation images, with the source's batch norm."""
        if self._valid is None:
            return None
        self.method.select_domain(model, "source")
        self.latest = validate.outputs_of(model, self._valid, self.job.choice)
        return self.latest

    @timed("validation")
    def scores(self, measured: Sequence[Mapping[str, Any]]) -> list[float]:
        """Return the scores of epochs from what :meth:`measure` said of each; higher is better."""
        selector = self.job.selector
        if not hasattr(selector, "compare"):
            return [one["score"] for one in measured]
        pool = [{name: _plain(value) for name, value in one.items()} for one in measured]
        return [float(score) for score in selector.compare(pool)]

    def _between(self, model: nn.Module, valid: Output) -> float:
        """The method's loss between the source's validation images and the scored target images."""
        job = self.job
        self.method.select_domain(model, "target")
        target = validate.outputs_of(model, self._target, job.choice)
        place = torch.cat(list(job.target.chunks(len(job.target), job.training.select_limit)))
        labels = job.head.seen(job.valid.labels)
        return validate.adaptation_loss(
            self.method, valid, labels, target, place, size=job.training.batch_size
        )

    def _candidate(self, model: nn.Module, valid: Output | None) -> Candidate:
        """What a label-free selector sees of this epoch."""
        job = self.job
        self.method.select_domain(model, "target")
        target = validate.outputs_of(model, self._target, job.choice)
        return Candidate(
            features_target=target.features,
            logits_target=target.logits,
            features_source_val=None if valid is None else valid.features,
            logits_source_val=None if valid is None else valid.logits,
            labels_source_val=None if valid is None else job.head.seen(job.valid.labels),
            n_classes=target.logits.shape[1],
            prior_target=None,
            mixed=partial(self._mixed, model),
        )

    def _mixed(self, model: nn.Module, first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
        """Logits of mixtures of two of the scored target images, mixed as the network sees them."""
        job = self.job
        scored = torch.cat(list(job.target.chunks(len(job.target), job.training.select_limit)))
        logits = []
        for rows in torch.arange(len(first)).split(256):
            one, two = (
                job.stretch(job.target.take(scored[torch.from_numpy(index)[rows]]).to(job.choice.device))
                for index in (first, second)
            )
            images = TrainingSet(share * one + (1 - share) * two)
            logits.append(validate.outputs(model, images, None, job.choice).logits)
        return torch.cat(logits).numpy()


def _stored(value: Any) -> Any:
    """Arrays become tensors, which a saved state holds."""
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _plain(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value
