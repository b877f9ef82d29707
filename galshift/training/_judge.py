"""What an epoch is worth: the source's validation values, and the score that chooses the epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galshift.methods._base import Method
from galshift.training import validate
from galshift.training.config import TrainConfig
from galshift.training.criterion import Criterion
from galshift.training.device import DeviceChoice
from galshift.training.heads import CLASSES, Head
from galshift.training.sets import Stretch, TrainingSet, stretched
from galshift.types import Output


class Judge:
    """Scores a model after every epoch; it never holds a target label.

    Parameters
    ----------
    method : Method
    valid, target : TrainingSet or None
    config : TrainConfig
    choice : DeviceChoice
    criterion : Criterion
        The loss that is trained on.
    stretch : callable
    selector : callable or None
        Of a label-free ``galshift.selection`` candidate: a function that returns its score, or a selector,
        whose ``compare`` ranks all epochs so far afresh.  Without it the validation loss decides.
    head : Head
        What the labels are.
    """

    def __init__(
        self,
        method: Method,
        valid: TrainingSet | None,
        target: TrainingSet | None,
        config: TrainConfig,
        choice: DeviceChoice,
        criterion: Criterion,
        *,
        stretch: Stretch,
        selector: Callable[[Any], float] | None,
        head: Head = CLASSES,
    ) -> None:
        self.method, self.target, self.config, self.choice = method, target, config, choice
        self.criterion, self.stretch, self.selector = criterion, stretch, selector
        self.head = head
        # The network sees the validation set unaugmented after every epoch: what is in memory is stretched
        # once, what would not fit is read again.
        self.in_memory = valid is not None and isinstance(valid.images, Tensor)
        self.valid = stretched(valid, stretch) if self.in_memory else valid

    def look(self, model: nn.Module, epoch: int) -> tuple[dict[str, float], dict[str, Any]]:
        """Return the validation values of `model` after `epoch` epochs, and what is kept to rank it by."""
        row: dict[str, float] = {}
        valid = self.validate(model)
        if valid is not None:
            row = validate.validation_row(valid, self.valid.labels, self.criterion, self.head)
        if self.selector is None:
            return row, {"score": float(epoch) if self.config.select == "last" else -row["valid_loss"]}
        candidate = self._candidate(model, valid)
        if not hasattr(self.selector, "measure"):
            return row, {"score": float(self.selector(candidate))}
        return row, {name: _stored(value) for name, value in self.selector.measure(candidate).items()}

    def validate(self, model: nn.Module) -> Output | None:
        """Return the outputs of `model` on the source's validation images, with the source's batch norm."""
        if self.valid is None:
            return None
        self.method.select_domain(model, "source")
        return validate.outputs(model, self.valid, None if self.in_memory else self.stretch, self.choice)

    def scores(self, kept: Sequence[Mapping[str, Any]]) -> list[float]:
        """Return the scores of epochs from what :meth:`look` kept of each; higher is better."""
        if not hasattr(self.selector, "compare"):
            return [one["score"] for one in kept]
        pool = [{name: _plain(value) for name, value in one.items()} for one in kept]
        return [float(score) for score in self.selector.compare(pool)]

    def _candidate(self, model: nn.Module, valid: Output | None) -> Any:
        """What a label-free selector sees of this epoch."""
        from galshift.selection._base import Candidate

        self.method.select_domain(model, "target")
        limit = self.config.select_limit
        target = validate.outputs(model, self.target, self.stretch, self.choice, limit=limit)
        return Candidate(
            features_target=target.features,
            logits_target=target.logits,
            features_source_val=None if valid is None else valid.features,
            logits_source_val=None if valid is None else valid.logits,
            labels_source_val=None if self.valid is None else self.head.seen(self.valid.labels),
            n_classes=target.logits.shape[1],
            prior_target=None,
            mixed=partial(self._mixed, model),
        )

    def _mixed(self, model: nn.Module, first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
        """Logits of mixtures of two of the scored target images, mixed as the network sees them."""
        scored = torch.cat(list(self.target.chunks(len(self.target), self.config.select_limit)))
        logits = []
        for rows in torch.arange(len(first)).split(256):
            one, two = (
                self.stretch(self.target.take(scored[torch.from_numpy(index)[rows]]).to(self.choice.device))
                for index in (first, second)
            )
            images = TrainingSet(share * one + (1 - share) * two)
            logits.append(validate.outputs(model, images, None, self.choice).logits)
        return torch.cat(logits).numpy()


def _stored(value: Any) -> Any:
    """Arrays are kept as tensors, which a saved state holds."""
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _plain(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value
