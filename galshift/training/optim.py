"""Optimisers and their parameter groups."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from galshift.training.config import TrainConfig


def parameter_groups(parameters: Iterable[nn.Parameter], config: TrainConfig) -> list[dict]:
    """Return groups with and without weight decay.

    Only tensors of two or more dimensions decay: shrinking a bias, a norm's scale or a learned loss weight
    towards zero has no meaning.
    """
    decayed, constant = [], []
    for parameter in dict.fromkeys(parameters):
        if parameter.requires_grad:
            (decayed if parameter.ndim >= 2 else constant).append(parameter)
    groups = [
        {"params": decayed, "lr": config.lr, "weight_decay": config.weight_decay},
        {"params": constant, "lr": config.lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimiser of `config` over `parameters`."""
    groups = parameter_groups(parameters, config)
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.momentum > 0, foreach=True)
    return torch.optim.AdamW(groups, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr
