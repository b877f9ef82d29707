"""Which parameters of a pre-trained network are trained, how fast each layer learns, what is held fixed.

``head`` trains the head alone, a linear probe of fixed features; ``last-N`` the last N layers of the encoder
too; ``all`` everything.  Layer-wise rates fall from the head to the input (Howard & Ruder 2018,
arXiv:1801.06146); a probe before fine-tuning is Kumar et al. 2022 (arXiv:2202.10054).
"""

from __future__ import annotations

import re

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from galshift.errors import ConfigError

ALL, HEAD = "all", "head"
_HEAD = "head."
_LAST = re.compile(r"last-([1-9]\d*)")
_CONTAINERS = (nn.Sequential, nn.ModuleList)


def layers(model: nn.Module) -> list[list[str]]:
    """Return the names of the encoder's parameters, layer by layer from the input on; the head's are not in.

    A layer is one step of the encoder: a block, or a convolution or linear layer with the norm after it.
    """
    found: list[list[str]] = []
    for prefix, module in _steps(model, ""):
        named = dict(module.named_parameters())
        names = [f"{prefix}{name}" for name in named]
        if names and found and max(parameter.ndim for parameter in named.values()) < 2:
            found[-1] += names  # a norm belongs to what it normalises
        elif names:
            found.append(names)
    placed = {name for layer in found for name in layer}
    loose = [
        name for name, _ in model.named_parameters() if name not in placed and not name.startswith(_HEAD)
    ]
    return [loose, *found] if loose else found


def trained(model: nn.Module, tune: str) -> set[str]:
    """Return the names of the parameters that `tune` trains.

    Raises
    ------
    ConfigError
        When the encoder has fewer layers than are asked for.
    """
    everything = {name for name, _ in model.named_parameters()}
    if tune == ALL:
        return everything
    names = {name for name in everything if name.startswith(_HEAD)}
    if match := _LAST.fullmatch(tune):
        steps, wanted = layers(model), int(match[1])
        if wanted > len(steps):
            raise ConfigError(
                f"the encoder has {len(steps)} layers, and tune asks for the last {wanted}",
                where="training.tune",
                hint=f"last-1 to last-{len(steps)}, or {ALL}",
            )
        names.update(name for layer in steps[-wanted:] for name in layer)
    return names


def rates(model: nn.Module, decay: float) -> dict[str, float]:
    """Return every parameter's learning rate as a fraction of the head's: `decay` for each layer above it."""
    steps = layers(model)
    by_name = {name: 1.0 for name, _ in model.named_parameters()}
    for depth, layer in enumerate(reversed(steps), start=1):
        by_name.update(dict.fromkeys(layer, decay**depth))
    return by_name


def hold(model: nn.Module) -> None:
    """Put what is not trained, and every batch norm, into evaluation mode: statistics and dropout at rest.

    Call it after each ``model.train()``.
    """
    for module in model.modules():
        parameters = list(module.parameters())
        fixed = bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
        if fixed or isinstance(module, _BatchNorm):
            module.eval()


def _steps(module: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    """The modules of a network in their order, the encoder and rows of blocks taken apart."""
    steps = []
    for name, child in module.named_children():
        inner = f"{prefix}{name}."
        if name == "head":
            continue
        if isinstance(child, _CONTAINERS) and (name in ("encoder", "blocks", "stages") or not prefix):
            steps += [(f"{inner}{place}.", block) for place, block in child.named_children()]
        elif name in ("encoder", "network"):
            steps += _steps(child, inner)
        else:
            steps.append((inner, child))
    return steps
