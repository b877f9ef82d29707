"""Maximum classifier discrepancy: two classifiers disagree where target features leave the source's support.

References
----------
Saito et al. 2018 (CVPR, arXiv:1712.02560), equations 2-6.  The heads maximise and the encoder minimises
the discrepancy in one step through a gradient reversal, in place of the paper's three alternating steps.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from galshift.methods import METHODS
from galshift.methods._adversarial import ramp, reverse_gradient
from galshift.methods._base import Method, MethodConfig
from galshift.types import Batch


def discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean absolute difference of two heads' class probabilities, in [0, 2 / K].

    Parameters
    ----------
    first, second : Tensor
        (B, K) logits.
    """
    return (torch.softmax(first, dim=1) - torch.softmax(second, dim=1)).abs().mean()


def head(feature_dim: int, n_classes: int, hidden: int) -> nn.Sequential:
    """Return a classifier with one hidden layer."""
    return nn.Sequential(nn.Linear(feature_dim, hidden), nn.ReLU(), nn.Linear(hidden, n_classes))


class Config(MethodConfig):
    """Options of `mcd`.

    Attributes
    ----------
    weight : float
        Multiplies the discrepancy.
    strength : float
        Final factor of the reversed gradient to the encoder, relative to what the heads get.
    hidden : int
        Width of the two heads' hidden layer.
    """

    weight: float = Field(1.0, ge=0)
    strength: float = Field(1.0, ge=0)
    hidden: int = Field(128, ge=1)


@METHODS.register("mcd")
class MCD(Method):
    """Two auxiliary heads play against the encoder over their disagreement on the target."""

    Config = Config
    reference = "Saito et al. 2018, arXiv:1712.02560"

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the two heads; arguments as for `Method.modules`."""
        hidden = self.config.hidden
        return nn.ModuleDict({name: head(feature_dim, n_classes, hidden) for name in ("first", "second")})

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``heads`` and ``discrepancy`` (negative); arguments as for `Method.losses`."""
        first, second = self.nets["first"], self.nets["second"]
        heads = sum(cross_entropy(net(source.features), source.labels) for net in (first, second))
        reversed_ = reverse_gradient(target.features, self.config.strength * ramp(progress))
        apart = discrepancy(first(reversed_), second(reversed_))
        return {"heads": 0.5 * heads, "discrepancy": -self.config.weight * apart}
