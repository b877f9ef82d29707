"""The loop's optimisers step as PyTorch's own do, and do not import its compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from galshift.training.config import TrainConfig
from galshift.training.optim import build_optimizer, parameter_groups


def own(name: str, parameters: list[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """Return PyTorch's optimiser as it comes."""
    groups = parameter_groups(parameters, config)
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum, nesterov=True, foreach=True)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](
        groups, betas=config.betas, fused=True
    )


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_steps_and_states_are_those_of_pytorch_to_the_bit(name: str) -> None:
    config = TrainConfig(optimiser=name)
    networks, optimizers = [], []
    for make in (build_optimizer, lambda parameters, config: own(name, parameters, config)):
        torch.manual_seed(0)
        networks.append(nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 2)))
        optimizers.append(make(list(networks[-1].parameters()), config))
    images = torch.randn(16, 9)
    for step in range(6):
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad(set_to_none=True)
            network(images).square().sum().backward()
            optimizer.step()
        if step == 2:  # each goes on from what the other saved
            states = [optimizer.state_dict() for optimizer in optimizers]
            for optimizer, state in zip(optimizers, states[::-1], strict=True):
                optimizer.load_state_dict(state)
    for mine, theirs in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(mine, theirs)


def test_an_optimiser_does_not_import_the_compiler() -> None:
    program = """
import sys, torch
from galshift.training.config import TrainConfig
from galshift.training.optim import build_optimizer
layer = torch.nn.Linear(2, 2)
optimizer = build_optimizer(layer.parameters(), TrainConfig())
optimizer.zero_grad()
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
