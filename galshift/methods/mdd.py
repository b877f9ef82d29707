"""Margin disparity discrepancy: an adversarial head that agrees on the source and disagrees on the target.

References
----------
Zhang et al. 2019 (ICML, arXiv:1904.05801), equations 27-30.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from galshift.methods import METHODS
from galshift.methods._adversarial import ramp, reverse_gradient
from galshift.methods._base import Method, MethodConfig
from galshift.methods.mcd import head
from galshift.types import Batch


def margin_disparity(
    source_logits: Tensor,
    source_adversary: Tensor,
    target_logits: Tensor,
    target_adversary: Tensor,
    margin: float = 4.0,
) -> Tensor:
    """Return the disparity ``-gamma CE(f', argmax f) on source + E log(1 - p'[argmax f]) on target``.

    Parameters
    ----------
    source_logits, target_logits : Tensor
        (n, K) and (m, K) logits of the classifier; only their argmax is used.
    source_adversary, target_adversary : Tensor
        (n, K) and (m, K) logits of the adversarial head.
    margin : float
        gamma, the exponential of the margin.

    Returns
    -------
    Tensor
        Scalar <= 0.
    """
    agreed = cross_entropy(source_adversary, source_logits.argmax(dim=1))
    chosen = target_logits.argmax(dim=1, keepdim=True)
    others = target_adversary.scatter(1, chosen, float("-inf"))
    log_other = torch.logsumexp(others, dim=1) - torch.logsumexp(target_adversary, dim=1)
    return log_other.mean() - margin * agreed


class Config(MethodConfig):
    """Options of `mdd`.

    Attributes
    ----------
    weight : float
        Multiplies the disparity.
    margin : float
        gamma in the paper.
    strength : float
        Final gradient-reversal factor.
    hidden : int
        Width of the adversarial head's hidden layer.
    """

    weight: float = Field(1.0, ge=0)
    margin: float = Field(4.0, gt=1)
    strength: float = Field(0.02, ge=0)
    hidden: int = Field(128, ge=1)


@METHODS.register("mdd")
class MDD(Method):
    """Minimise the margin disparity discrepancy through a gradient reversal."""

    Config = Config
    reference = "Zhang et al. 2019, arXiv:1904.05801"
    aligns = True

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the adversarial head; arguments as for `Method.modules`."""
        return nn.ModuleDict({"adversary": head(feature_dim, n_classes, self.config.hidden)})

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``disparity``, which the head lowers and the encoder raises; see `Method.losses`."""
        c = self.config
        strength = c.strength * ramp(progress)
        adversary = self.nets["adversary"]
        value = margin_disparity(
            source.logits,
            adversary(reverse_gradient(source.features, strength)),
            target.logits,
            adversary(reverse_gradient(target.features, strength)),
            c.margin,
        )
        return {"disparity": -c.weight * value}
