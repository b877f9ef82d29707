"""Entropy separation: known classes to low, unknown ones to high entropy, with limits that any K can reach.

References
----------
Saito et al. 2020 (NeurIPS, arXiv:2002.07953), equation 7.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from galshift.methods._probabilities import entropy

# DANCE's margin of 0.5 was set at K = 20; as a fraction of ln K, or with few classes nothing would pass it.
MARGIN = 0.17


def entropy_separation(logits: Tensor, margin: float = MARGIN) -> Tensor:
    """Return minus the mean distance of the entropies from ln(K) / 2, counted where it exceeds the margin.

    Parameters
    ----------
    logits : Tensor
        (B, K).
    margin : float
        In units of ln K; must be below 0.5 for any sample to count.

    Returns
    -------
    Tensor
        Scalar in [-ln(K) / 2, 0].
    """
    log_k = math.log(logits.shape[1])
    distance = (entropy(logits) - 0.5 * log_k).abs()
    return -torch.where(distance > margin * log_k, distance, torch.zeros_like(distance)).mean()


def unknown_by_entropy(logits: Tensor) -> Tensor:
    """Return the entropies over ln K: above 0.5 a sample is taken for an unknown class.

    Parameters
    ----------
    logits : Tensor
        (B, K).

    Returns
    -------
    Tensor
        (B,) in [0, 1].
    """
    return entropy(logits) / math.log(logits.shape[1])
