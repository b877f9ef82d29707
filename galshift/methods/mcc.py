"""Minimum class confusion: target predictions that do not waver between two classes.

References
----------
Jin et al. 2020 (ECCV, arXiv:1912.03699), equations 3-7.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision
from galshift.methods._probabilities import entropy
from galshift.types import Batch


def class_confusion(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the mean off-diagonal share of the class-correlation matrix of target predictions.

    Parameters
    ----------
    logits : Tensor
        (B, K).
    temperature : float
        Divides the logits.

    Returns
    -------
    Tensor
        Scalar: 0 for one-hot predictions, (K - 1) / K for uniform ones.  Samples are weighed by
        ``1 + exp(-H)`` (detached); a class without any probability counts as not confused.
    """
    logits = full_precision(logits) / temperature
    p = torch.softmax(logits, dim=1)
    weights = 1 + torch.exp(-entropy(logits.detach()))
    weights = weights * (len(p) / weights.sum())
    correlation = (p * weights[:, None]).T @ p
    rows = correlation.sum(dim=1).clamp_min(torch.finfo(p.dtype).tiny)
    absent = correlation.sum(dim=1).detach() == 0
    confusion = 1 - correlation.diagonal() / rows
    return torch.where(absent, torch.zeros_like(confusion), confusion).sum() / p.shape[1]


class Config(MethodConfig):
    """Options of `mcc`; `weight` multiplies the term."""

    weight: float = Field(0.5, ge=0)
    temperature: float = Field(1.0, gt=0)


@METHODS.register("mcc")
class MCC(Method):
    """Minimise the confusion between classes in the target's predictions."""

    Config = Config
    reference = "Jin et al. 2020, arXiv:1912.03699"

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``mcc``; arguments as for `Method.losses`."""
        return {"mcc": self.config.weight * class_confusion(target.logits, self.config.temperature)}
