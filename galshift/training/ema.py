"""The running mean of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


def ema_decay(step: int, decay: float) -> float:
    """Return the decay after update number `step` (from 0): small at first, to forget the start."""
    return min(decay, (1 + step) / (10 + step))


def ema_copy(model: nn.Module) -> nn.Module:
    """Return a frozen copy of `model` to hold the mean."""
    mean = copy.deepcopy(model)
    return mean.requires_grad_(False)


@torch.no_grad()
def ema_update(mean: nn.Module, model: nn.Module, decay: float) -> None:
    """Set every weight of `mean` to ``decay * mean + (1 - decay) * model``; buffers are copied."""
    torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1 - decay)
    for held, new in zip(mean.buffers(), model.buffers(), strict=True):
        held.copy_(new)
