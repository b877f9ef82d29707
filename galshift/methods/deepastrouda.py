"""DeepAstroUDA: adaptive clustering of target images that rank the classes alike, and entropy separation.

References
----------
Ciprijanovic et al. 2023 (MLST 4, 025013; arXiv:2302.02005), equations 3-5; threshold and margin follow
the target's entropies, as the paper's tuner makes them do by trial.  Its class-weighted cross-entropy is the
loop's option ``class_weights``.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from galshift.methods import METHODS
from galshift.methods._base import Method, MethodConfig
from galshift.methods._memory import Memory
from galshift.methods._separation import MARGIN, Separation
from galshift.types import Batch, Output


def rank_agreement(first: Tensor, second: Tensor, top: int) -> Tensor:
    """Return where two sets of predictions name the same `top` classes in the same order.

    Parameters
    ----------
    first, second : Tensor
        (B, K) and (N, K) class probabilities.
    top : int
        How many of the most probable classes must agree.

    Returns
    -------
    Tensor
        (B, N) bool.
    """
    ranks = [p.topk(top, dim=1).indices for p in (first, second)]
    return (ranks[0][:, None] == ranks[1][None]).all(dim=2)


def adaptive_clustering(p: Tensor, bank: Tensor, allowed: Tensor, top: int) -> Tensor:
    """Return the mean binary cross-entropy of pairwise similarity ``p_i . p_j`` against rank agreement.

    Parameters
    ----------
    p : Tensor
        (B, K) target probabilities.
    bank : Tensor
        (N, K) remembered probabilities, without gradient.
    allowed : Tensor
        (B, N) bool; pairs that count.
    top : int
        See `rank_agreement`.

    Returns
    -------
    Tensor
        Scalar >= 0; 0 without any pair.  Agreeing and other pairs weigh the same in total, so that a pair of
        equals is not drowned by the many of unequals.
    """
    alike = rank_agreement(p.detach(), bank, top) & allowed
    apart = ~alike & allowed
    eps = torch.finfo(p.dtype).eps
    similarity = (p @ bank.T).clamp(eps, 1 - eps)
    attract = -(torch.log(similarity) * alike).sum() / alike.sum().clamp_min(1)
    repel = -(torch.log1p(-similarity) * apart).sum() / apart.sum().clamp_min(1)
    return 0.5 * (attract + repel)


class Config(MethodConfig):
    """Options of `deepastrouda`.

    Attributes
    ----------
    weight : float
        Multiplies the separation.
    clustering_weight : float
        Multiplies the clustering; the paper's 0.005.  Clustering makes sure of every image, so that a larger
        weight undoes the separation.
    top : int or None
        Classes whose order must agree; default: all of up to 3 classes, otherwise 0.7 K.
    margin : float
        Factor about the entropy that parts known from unknown, within which neither is separated.
    """

    weight: float = Field(0.05, ge=0)
    clustering_weight: float = Field(0.005, ge=0)
    top: int | None = Field(None, ge=1)
    margin: float = Field(MARGIN, gt=1)


@METHODS.register("deepastrouda")
class DeepAstroUDA(Method):
    """Adaptive clustering and entropy separation, for targets with classes that the source lacks."""

    Config = Config
    reference = "Ciprijanovic et al. 2023, arXiv:2302.02005"
    scoring = ("separation",)

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """Return the memories of predictions and entropies; arguments as for `Method.modules`."""
        memory, separation = Memory(n_target, n_classes), Separation(n_target, n_classes)
        return nn.ModuleDict({"memory": memory, "separation": separation})

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return ``clustering`` and ``separation``; arguments as for `Method.losses`."""
        c, memory = self.config, self.nets["memory"]
        p = torch.softmax(target.logits, dim=1)
        memory.remember(target.index, p)
        bank, allowed = memory.others(target.index)
        n_classes = p.shape[1]
        top = min(c.top or (n_classes if n_classes < 4 else -(-7 * n_classes // 10)), n_classes)
        return {
            "clustering": c.clustering_weight * adaptive_clustering(p, bank.to(p.dtype), allowed, top),
            "separation": c.weight * self.nets["separation"](target.index, target.logits, c.margin),
        }

    def unknown_score(self, output: Output) -> Tensor:
        """Return the free energy against the target's; arguments as for `Method.unknown_score`."""
        return self.nets["separation"].unknown_score(output.logits)
