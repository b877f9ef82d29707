"""Likelihoods of numbers: Gaussian with its own variance, and Dirichlet-multinomial of votes.

References
----------
Nix & Weigend 1994 (ICNN 1, 55) and Kendall & Gal 2017 (arXiv:1703.04977, eq. 5); Mosimann 1962 (Biometrika
49, 65), as Walmsley et al. 2022 (MNRAS 509, 3966) use it for votes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_VARIANCE = 10.0  # a standard deviation between 0.007 and 150 of the training labels'
LOG_CONCENTRATION = (-5.0, 10.0)


def gaussian_nll(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of ``-ln N(y | m, s^2)`` over images and labels, a scalar in nats.

    The log variance is ``10 tanh(r / 10)`` of its raw output r: it can neither vanish nor overflow, and has a
    slope everywhere.

    Parameters
    ----------
    outputs : Tensor
        (B, 2 L): L means, then L raw log variances.
    labels : Tensor
        (B, L), standardised.
    """
    mean, raw = outputs.float().chunk(2, dim=1)
    log_variance = LOG_VARIANCE * torch.tanh(raw / LOG_VARIANCE)
    square = (labels.float() - mean).square() * torch.exp(-log_variance)
    return 0.5 * (square + log_variance + math.log(2 * math.pi)).mean()


def concentrations(outputs: Tensor) -> Tensor:
    """Return the (B, K) float64 concentrations of the Dirichlet distribution of the vote fractions.

    They are ``softmax(l) * exp(clamp(logsumexp(l)))``, which is ``exp(l)`` within the bounds of their sum
    (0.007 to 22 000), and keeps the expected fraction ``softmax(l)`` beyond them.

    Parameters
    ----------
    outputs : Tensor
        (B, K).
    """
    outputs = outputs.double()
    total = torch.logsumexp(outputs, dim=1, keepdim=True)
    logs = torch.log_softmax(outputs, dim=1) + total.clamp(*LOG_CONCENTRATION)
    return torch.exp(logs.clamp(min=-30.0))


def dirichlet_multinomial_nll(outputs: Tensor, counts: Tensor) -> Tensor:
    """Return the mean of ``-ln P(counts | total, concentrations)`` over images, a scalar in nats.

    In float64, where differences of log-gamma functions of large concentrations keep their digits.

    Parameters
    ----------
    outputs : Tensor
        (B, K); see :func:`concentrations`.
    counts : Tensor
        (B, K) votes, not necessarily whole numbers.
    """
    alpha, n = concentrations(outputs), counts.double()
    total, votes = alpha.sum(dim=1), n.sum(dim=1)
    log_p = torch.lgamma(total) + torch.lgamma(votes + 1) - torch.lgamma(votes + total)
    each = torch.lgamma(n + alpha) - torch.lgamma(alpha) - torch.lgamma(n + 1)
    return -(log_p + each.sum(dim=1)).mean().float()
