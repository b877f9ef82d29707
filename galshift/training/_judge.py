"""What an epoch is worth: the source's validation values, and the score that chooses the epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from galshift.methods._base import Method
from galshift.training import validate
from galshift.training.config import TrainConfig
from galshift.training.criterion import Criterion
from galshift.training.device import DeviceChoice
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
        Label-free score of a :class:`galshift.selection.Candidate`; without it the validation loss decides.
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
    ) -> None:
        self.method, self.target, self.config, self.choice = method, target, config, choice
        self.criterion, self.stretch, self.selector = criterion, stretch, selector
        # The network sees the validation set unaugmented after every epoch: stretch it once.
        self.valid = None if valid is None else stretched(valid, stretch)

    def row(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Return the validation values of `model` after `epoch` epochs, and ``score``: higher is better."""
        row: dict[str, float] = {}
        valid = None
        if self.valid is not None:
            self.method.select_domain(model, "source")
            valid = validate.outputs(model, self.valid, None, self.choice)
            row = validate.validation_row(valid, self.valid.labels, self.criterion)
        if self.selector is not None:
            row["score"] = float(self.selector(self._candidate(model, valid)))
        else:
            row["score"] = float(epoch) if self.config.select == "last" else -row["valid_loss"]
        return row

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
            labels_source_val=None if self.valid is None else self.valid.labels,
            n_classes=target.logits.shape[1],
            prior_target=None,
        )
