"""Optimisers and their parameter groups."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import cache

import torch
from torch import nn

from galshift.training.config import TrainConfig


def parameter_groups(
    parameters: Iterable[nn.Parameter], config: TrainConfig, rates: Mapping[nn.Parameter, float] | None = None
) -> list[dict]:
    """Return groups with and without weight decay, by learning rate.

    Unless `config` says otherwise only tensors of two or more dimensions decay: shrinking a bias, a norm's
    scale or a learned loss weight towards zero has no meaning.  `rates` are fractions of the run's learning
    rate; 1 where there is none.
    """
    by_kind: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in dict.fromkeys(parameters):
        if parameter.requires_grad:
            decays = parameter.ndim >= 2 or config.decay_of == "all"
            kind = ((rates or {}).get(parameter, 1.0), decays)
            by_kind.setdefault(kind, []).append(parameter)
    return [
        {
            "params": members,
            "lr": config.lr * rate,
            "weight_decay": config.weight_decay if decays else 0.0,
            **({} if rate == 1.0 else {"rate": rate}),
        }
        for (rate, decays), members in sorted(by_kind.items(), key=lambda item: (-item[0][0], not item[0][1]))
    ]


def build_optimizer(
    parameters: Iterable[nn.Parameter], config: TrainConfig, rates: Mapping[nn.Parameter, float] | None = None
) -> torch.optim.Optimizer:
    """Return the optimiser of `config` over `parameters`, with their `rates`."""
    groups = parameter_groups(parameters, config, rates)
    if config.optimiser == "sgd":
        kind = _uncompiled(torch.optim.SGD)
        return kind(groups, momentum=config.momentum, nesterov=config.momentum > 0, foreach=True)
    kind = _uncompiled(torch.optim.Adam if config.optimiser == "adam" else torch.optim.AdamW)
    return kind(groups, betas=config.betas, fused=True)


@cache
def _uncompiled(kind: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """Return `kind` with its methods as they are written.

    PyTorch wraps them for the sake of its compiler, which the first call of any would import: a second of CPU
    time in every training.  No optimiser is compiled here.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")
    written = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), {**written, "step": torch.no_grad()(written["step"])})


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group, a layer's own fraction of `lr` where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("rate", 1.0)
