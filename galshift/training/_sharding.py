"""Networks split over devices (FSDP2), and the same three operations for networks that are not."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn


def shard(model: nn.Module, device: torch.device) -> None:
    """Split the parameters of every larger block of `model`, and of the model itself, over all processes."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # A view among a block's outputs harms only code that writes into it in place; none here does.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module", category=UserWarning)
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    for block in _blocks(model):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a network: children of its sequences and lists with a million weights."""
    lists = [module for module in model.modules() if isinstance(module, nn.Sequential | nn.ModuleList)]
    found: list[nn.Module] = []
    for block in (child for group in lists for child in group.children()):
        inside = any(block is part for other in found for part in other.modules())
        if not inside and sum(parameter.numel() for parameter in block.parameters()) >= 1_000_000:
            found.append(block)
    return found


def clip_gradients(own: list[nn.Parameter], extra: list[nn.Parameter], limit: float | None) -> Tensor:
    """Scale all gradients so that their joint norm is at most `limit`, and return the norm before.

    The network's (`own`, perhaps split over devices) and the method's (`extra`) norms are taken apart, for
    split and whole tensors cannot be stacked.
    """
    norms = []
    for group in (own, extra):
        gradients = [parameter.grad for parameter in group if parameter.grad is not None]
        if gradients:
            norm = torch.nn.utils.get_total_norm(gradients)
            norms.append(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
    total = torch.stack(norms).square().sum().sqrt() if len(norms) > 1 else norms[0]
    if limit is not None:
        for group in (own, extra):
            torch.nn.utils.clip_grads_with_norm_(group, limit, total)
    return total


def full_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, sharded: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the whole state of a model and its optimiser; every process must call this."""
    if not sharded:
        return model.state_dict(), optimizer.state_dict()
    return _whole(model.state_dict()), _whole(optimizer.state_dict())


def load_full_state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    model_state: dict[str, Any],
    optimizer_state: dict[str, Any],
    sharded: bool,
) -> None:
    """Load what :func:`full_state` returned, keeping each tensor's memory layout."""
    if sharded:
        model_state = _shares(model_state, model.state_dict())
    model.load_state_dict(model_state)
    _load_optimizer(optimizer, optimizer_state)


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's moments in the layout of their parameters, as they were when it ran."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, moments in state["state"].items():
        parameter = parameters[int(number)]
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                moments[name] = _as_share(value, parameter)
    optimizer.load_state_dict(state)


def _whole(value: Any) -> Any:
    """Gather every split tensor of a nested state."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    # One tensor at a time is whole on a device; the collected state waits in the machine's memory.
    return value.full_tensor().cpu() if hasattr(value, "full_tensor") else value


def _shares(state: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Split the tensors of `state` as those of `like` are."""
    return {name: _as_share(value, like[name]) for name, value in state.items()}


def _as_share(value: Tensor, like: Tensor) -> Tensor:
    """Return `value` in the layout of `like`: split over devices, or in its memory format."""
    if hasattr(like, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return torch.empty_like(like, requires_grad=False).copy_(value)
