"""Conditional domain-adversarial training: the discriminator sees features times class probabilities.

References
----------
Long et al. 2018 (NeurIPS, arXiv:1705.10667), equation 4.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from galshift.methods import METHODS
from galshift.methods._adversarial import ramp
from galshift.methods._base import Method, MethodConfig
from galshift.methods._conditional import conditional_adversary, conditional_domain_loss
from galshift.types import Batch


class Config(MethodConfig):
    """Options of `cdan`: final reversal factor, its ramp's steepness, the discriminator's width."""

    strength: float = Field(0.3, ge=0)
    gamma: float = Field(10.0, gt=0)
    hidden: int = Field(128, ge=1)


@METHODS.register("cdan")
class CDAN(Method):
    """Reverse the gradient of a discriminator on the joint map of features and predictions."""

    Config = Config
    reference = "Long et al. 2018, arXiv:1705.10667, eq. 4"
    aligns = True

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the joint map and the discriminator; arguments as for `Method.modules`."""
        return conditional_adversary(feature_dim, n_classes, self.config.hidden)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``domain``, ln 2 = 0.693 at chance; arguments as for `Method.losses`."""
        strength = self.config.strength * ramp(progress, self.config.gamma)
        value, accuracy = conditional_domain_loss(
            self.nets, source.output, target.output, strength, by_entropy=False
        )
        self.observed = {"domain_accuracy": accuracy, "reversal": torch.tensor(strength)}
        return {"domain": value}
