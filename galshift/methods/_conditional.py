"""The multilinear conditioning of CDAN: a discriminator that sees which class a feature was taken for.

References
----------
Long et al. 2018 (NeurIPS, arXiv:1705.10667), equations 4-6 and 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from galshift.methods._adversarial import (
    discriminator,
    domain_accuracy,
    domain_loss,
    reverse_gradient,
    standardise,
)
from galshift.methods._probabilities import entropy
from galshift.types import Output


class MultilinearMap(nn.Module):
    """The outer product of features and class probabilities, or a random projection of it when that is large.

    Parameters
    ----------
    feature_dim, n_classes : int
        D and K.
    max_features : int
        D K above this is replaced by ``(R_f z) * (R_p p) / sqrt(n)`` with fixed Gaussian matrices, n = 1024;
        inner products stay the same in expectation.
    """

    def __init__(self, feature_dim: int, n_classes: int, max_features: int = 4096) -> None:
        super().__init__()
        self.random = feature_dim * n_classes > max_features
        self.n_outputs = 1024 if self.random else feature_dim * n_classes
        if self.random:
            self.register_buffer("of_features", torch.randn(feature_dim, self.n_outputs))
            self.register_buffer("of_classes", torch.randn(n_classes, self.n_outputs))

    def forward(self, features: Tensor, p: Tensor) -> Tensor:
        """Return (B, n_outputs) from (B, D) features and (B, K) probabilities."""
        if self.random:
            return (features @ self.of_features) * (p @ self.of_classes) / self.n_outputs**0.5
        return (p[:, :, None] * features[:, None, :]).flatten(1)


def conditional_adversary(feature_dim: int, n_classes: int, hidden: int) -> nn.ModuleDict:
    """Return the map and the discriminator that CDAN and CDAN+E share."""
    joint = MultilinearMap(feature_dim, n_classes)
    return nn.ModuleDict({"joint": joint, "discriminator": discriminator(joint.n_outputs, hidden)})


def entropy_weights(logits: Tensor) -> Tensor:
    """Return ``1 + exp(-H)`` scaled to mean 1, detached: sure predictions count up to twice as much."""
    weights = 1 + torch.exp(-entropy(logits.detach()))
    return weights / weights.mean()


def conditional_domain_loss(
    nets: nn.ModuleDict, source: Output, target: Output, strength: float, by_entropy: bool
) -> tuple[Tensor, Tensor]:
    """Return domain loss and accuracy on the joint map of features and class probabilities (detached).

    Parameters
    ----------
    nets : nn.ModuleDict
        From `conditional_adversary`.
    source, target : Output
        Forwarded batches.
    strength : float
        Gradient-reversal factor.
    by_entropy : bool
        Weigh each domain's samples by `entropy_weights` (CDAN+E).
    """
    logits, weights = [], []
    for output in (source, target):
        p = torch.softmax(output.logits.detach(), dim=1)
        joint = nets["joint"](standardise(output.features), p)
        logits.append(nets["discriminator"](reverse_gradient(joint, strength)))
        weights.append(entropy_weights(output.logits) if by_entropy else None)
    return domain_loss(*logits, *weights), domain_accuracy(*logits)
