"""DeepJDOT: exact transport of features and labels together.

References
----------
Damodaran et al. 2018 (ECCV, arXiv:1803.10081), equation 6.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._distances import full_precision, squared_distances
from galshift.methods._transport import exact_plan
from galshift.types import Batch


def joint_cost(
    source: Tensor, target: Tensor, labels: Tensor, target_logits: Tensor, alpha: float, beta: float
) -> Tensor:
    """Return the (n, m) cost ``alpha |z_i - z_j|^2 + beta CE(y_i, l_j)``.

    For continuous labels the second part is ``beta |y_i - m_j|^2``, with m the predicted means.

    Parameters
    ----------
    source, target : Tensor
        (n, d) and (m, d) features.
    labels : Tensor
        (n,) int64 source classes, or (n, L) standardised continuous labels.
    target_logits : Tensor
        (m, K), or (m, 2 L) with the means first.
    alpha, beta : float
        Weights of the feature and the label part.
    """
    features = squared_distances(full_precision(source), full_precision(target))
    if labels.is_floating_point():
        means = full_precision(target_logits)[:, : labels.shape[1]]
        return alpha * features + beta * squared_distances(full_precision(labels), means)
    surprise = -torch.log_softmax(full_precision(target_logits), dim=1)
    return alpha * features + beta * surprise.T[labels]


def deepjdot(
    source: Tensor,
    target: Tensor,
    labels: Tensor,
    target_logits: Tensor,
    *,
    alpha: float = 0.01,
    beta: float = 0.1,
) -> Tensor:
    """Return the least total cost of moving source onto target, the plan held constant in the gradient.

    Parameters
    ----------
    source, target, labels, target_logits, alpha, beta
        As for `joint_cost`; n and m may differ.

    Returns
    -------
    Tensor
        Scalar >= 0; NaN when an input is not finite, so that the loop can stop.
    """
    cost = joint_cost(source, target, labels, target_logits, alpha, beta)
    values = cost.detach().cpu().numpy()
    if not np.isfinite(values).all():
        return cost.sum() * float("nan")
    plan = torch.as_tensor(exact_plan(values), dtype=cost.dtype, device=cost.device)
    return (plan * cost).sum()


class Config(MethodConfig):
    """Options of `deepjdot`; `weight` multiplies the term, `alpha` and `beta` its feature and label parts."""

    weight: float = Field(0.5, ge=0)
    alpha: float = Field(0.02, ge=0)
    beta: float = Field(0.1, ge=0)


@METHODS.register("deepjdot")
class DeepJDOT(Method):
    """Minimise the exact transport cost of features and labels."""

    Config = Config
    reference = "Damodaran et al. 2018, arXiv:1803.10081, eq. 6"
    aligns = True
    needs_classes = False

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``deepjdot``; arguments as for `Method.losses`."""
        c = self.config
        value = deepjdot(
            source.features, target.features, source.labels, target.logits, alpha=c.alpha, beta=c.beta
        )
        return {"deepjdot": c.weight * value}
