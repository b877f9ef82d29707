"""Entropies from logits, in log space so that a probability of zero gives neither NaN nor a NaN gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy of the softmax of each row, in nats.

    Parameters
    ----------
    logits : Tensor
        (B, K).

    Returns
    -------
    Tensor
        (B,), in [0, ln K].
    """
    log_p = torch.log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)


def mean_entropy(logits: Tensor) -> Tensor:
    """Return the mean entropy of the rows' softmax (Grandvalet & Bengio 2005), in nats."""
    return entropy(logits).mean()


def marginal_entropy(logits: Tensor) -> Tensor:
    """Return the entropy of the batch-mean softmax, in nats: low when one class takes all."""
    log_p = torch.log_softmax(logits, dim=1)
    log_mean = torch.logsumexp(log_p, dim=0) - math.log(len(logits))
    return -(log_mean.exp() * log_mean).sum()
