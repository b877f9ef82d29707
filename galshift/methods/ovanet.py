"""OVANet: one known-or-not classifier per class, so that unknown classes need no threshold to tune.

References
----------
Saito & Saenko 2021 (ICCV, arXiv:2104.03344), equations 2-4.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.types import Batch, Output


def hard_negative_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return minus the log probability of "known" for the right class and of "not" for the hardest wrong one.

    Parameters
    ----------
    scores : Tensor
        (B, K) logits of "of this class" against "not of this class".
    labels : Tensor
        (B,) int64 classes.
    """
    right = torch.nn.functional.one_hot(labels, scores.shape[1]).bool()
    positive = -logsigmoid(scores)[right]
    negative = (-logsigmoid(-scores)).masked_fill(right, 0).max(dim=1).values
    return (positive + negative).mean()


def open_entropy(scores: Tensor) -> Tensor:
    """Return the mean binary entropy over samples and classes, in [0, ln 2].

    Parameters
    ----------
    scores : Tensor
        (B, K) logits of the one-vs-all classifiers.
    """
    p = torch.sigmoid(scores)
    return -(p * logsigmoid(scores) + (1 - p) * logsigmoid(-scores)).mean()


class Config(MethodConfig):
    """Options of `ovanet`: weights of the one-vs-all loss on the source and of its entropy on the target."""

    weight: float = Field(0.1, ge=0)
    entropy_weight: float = Field(0.1, ge=0)


@METHODS.register("ovanet")
class OVANet(Method):
    """Train one-vs-all heads on the source and sharpen them on the target."""

    Config = Config
    reference = "Saito & Saenko 2021, arXiv:2104.03344"
    scoring = ("open",)

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the one-vs-all heads; arguments as for `Method.modules`."""
        return nn.ModuleDict({"open": nn.Linear(feature_dim, n_classes)})

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``open`` and ``open_entropy``; arguments as for `Method.losses`."""
        heads = self.nets["open"]
        return {
            "open": self.config.weight * hard_negative_loss(heads(source.features), source.labels),
            "open_entropy": self.config.entropy_weight * open_entropy(heads(target.features)),
        }

    def unknown_score(self, output: Output) -> Tensor:
        """Return the probability of "not of the predicted class"; arguments as for `Method.unknown_score`."""
        scores = self.nets["open"](output.features)
        chosen = output.logits.argmax(dim=1, keepdim=True)
        return torch.sigmoid(-scores.gather(1, chosen)).squeeze(1)
