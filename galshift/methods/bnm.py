"""Batch nuclear-norm maximisation: target predictions both sure and diverse.

References
----------
Cui et al. 2020 (CVPR, arXiv:2003.12237), equation 10, divided by the batch size.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision
from galshift.types import Batch


def negative_nuclear_norm(logits: Tensor) -> Tensor:
    """Return minus the nuclear norm of the (B, K) predictions over B.

    Parameters
    ----------
    logits : Tensor
        (B, K).

    Returns
    -------
    Tensor
        Scalar; ``-sqrt(K / B)`` for one-hot predictions of K equally frequent classes, the least possible;
        NaN when a logit is not finite, so that the loop can stop.
    """
    p = torch.softmax(full_precision(logits), dim=1)
    if not bool(torch.isfinite(p).all()):
        return p.sum() * float("nan")
    return -torch.linalg.svdvals(p).sum() / len(p)


class Config(MethodConfig):
    """Options of `bnm`; `weight` multiplies the term."""

    weight: float = Field(1.0, ge=0)


@METHODS.register("bnm")
class BNM(Method):
    """Maximise the nuclear norm of the target's prediction matrix."""

    Config = Config
    reference = "Cui et al. 2020, arXiv:2003.12237, eq. 10"

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``bnm``; arguments as for `Method.losses`."""
        return {"bnm": self.config.weight * negative_nuclear_norm(target.logits)}
