"""Gradient reversal, its schedule, and the domain discriminator.

References
----------
Ganin et al. 2016 (JMLR 17, 59).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, x: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Return `x` unchanged; its gradient is multiplied by ``-strength`` on the way back."""
    return _Reverse.apply(x, strength)


def ramp(progress: float, gamma: float = 10.0) -> float:
    """Return ``2 / (1 + exp(-gamma * progress)) - 1``, from 0 to (nearly) 1 over the run.

    Parameters
    ----------
    progress : float
        Fraction of the planned steps done, in [0, 1]; tied to the run's length, so that short runs adapt too.
    gamma : float
        Steepness; 10 in the paper.
    """
    return math.tanh(0.5 * gamma * progress)


def standardise(features: Tensor) -> Tensor:
    """Return each (B, D) feature with mean 0 and variance 1 over its entries: what a discriminator looks at.

    The strength of the game then depends neither on the features' scale nor on their growth during training.
    """
    return nn.functional.layer_norm(features, features.shape[1:])


def discriminator(n_inputs: int, hidden: int, dropout: float = 0.5) -> nn.Sequential:
    """Return a network of two hidden layers that gives one logit, positive for the source.

    Dropout is what keeps it from winning outright, after which its gradient would only scatter the features.
    """
    return nn.Sequential(
        *(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(hidden, 1),
    )


def domain_loss(
    source_logits: Tensor,
    target_logits: Tensor,
    source_weights: Tensor | None = None,
    target_weights: Tensor | None = None,
) -> Tensor:
    """Return half the sum of the two domains' mean cross-entropies; ln 2 at chance.

    Parameters
    ----------
    source_logits, target_logits : Tensor
        (n,) or (n, 1) and (m,) or (m, 1) discriminator outputs; source is class 1.
    source_weights, target_weights : Tensor, optional
        (n,) and (m,) weights of the samples, each with mean 1.
    """
    source = binary_cross_entropy_with_logits(
        source_logits.flatten(), torch.ones_like(source_logits.flatten()), weight=source_weights
    )
    target = binary_cross_entropy_with_logits(
        target_logits.flatten(), torch.zeros_like(target_logits.flatten()), weight=target_weights
    )
    return 0.5 * (source + target)


@torch.no_grad()
def domain_accuracy(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Return how often the discriminator is right, both domains counting alike; 0.5 at chance.

    Near 0.5 from the first step it teaches the encoder nothing; near 1 to the last it has won the game.
    """
    return 0.5 * ((source_logits > 0).float().mean() + (target_logits <= 0).float().mean())
