"""Information maximisation: target predictions that are sure one by one and diverse together.

References
----------
Gomes, Krause & Perona 2010 (NIPS); Liang et al. 2020 (ICML, arXiv:2002.08546), equation 3.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision
from galshift.methods._probabilities import marginal_entropy, mean_entropy
from galshift.types import Batch


def negative_information(logits: Tensor) -> Tensor:
    """Return minus the mutual information of image and prediction: mean H(p) - H(mean p), in [-ln K, 0].

    Parameters
    ----------
    logits : Tensor
        (B, K).
    """
    logits = full_precision(logits)
    return mean_entropy(logits) - marginal_entropy(logits)


class Config(MethodConfig):
    """Options of `infomax`; `weight` multiplies the term."""

    weight: float = Field(0.3, ge=0)


@METHODS.register("infomax")
class InfoMax(Method):
    """Maximise the mutual information of target images and predictions."""

    Config = Config
    reference = "Liang et al. 2020, arXiv:2002.08546, eq. 3"
    aligns = True  # diverse together means an even mix, whatever the target's is

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``infomax``; arguments as for `Method.losses`."""
        return {"infomax": self.config.weight * negative_information(target.logits)}
