"""CDAN+E: conditional domain-adversarial training in which sure predictions weigh more.

References
----------
Long et al. 2018 (NeurIPS, arXiv:1705.10667), equation 8; each domain's weights are scaled to mean 1.
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
    """Options of `cdan-e`: final reversal factor, its ramp's steepness, the discriminator's width."""

    strength: float = Field(0.3, ge=0)
    gamma: float = Field(10.0, gt=0)
    hidden: int = Field(128, ge=1)


@METHODS.register("cdan-e")
class CDANE(Method):
    """CDAN with samples weighed by how sure the classifier is of them."""

    Config = Config
    reference = "Long et al. 2018, arXiv:1705.10667, eq. 8"
    aligns = True

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the joint map and the discriminator; arguments as for `Method.modules`."""
        return conditional_adversary(feature_dim, n_classes, self.config.hidden)

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``domain``, ln 2 = 0.693 at chance; arguments as for `Method.losses`."""
        strength = self.config.strength * ramp(progress, self.config.gamma)
        value, accuracy = conditional_domain_loss(
            self.nets, source.output, target.output, strength, by_entropy=True
        )
        self.observed = {"domain_accuracy": accuracy, "reversal": torch.tensor(strength)}
        return {"domain": value}
