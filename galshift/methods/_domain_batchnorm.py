"""Batch norm with statistics of its own for each domain, and batch-norm statistics taken from one domain.

References
----------
Chang et al. 2019 (CVPR, domain-specific batch normalization); Li et al. 2018 (Pattern Recognition 80, AdaBN).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Domain = Literal["source", "target"]


class DomainBatchNorm(nn.Module):
    """Two batch norms that start as copies of one, and a switch.

    Parameters
    ----------
    norm : nn.Module
        The batch norm that it replaces.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.source = norm
        self.target = copy.deepcopy(norm)
        self.domain: Domain = "source"

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` with the statistics of the chosen domain."""
        return getattr(self, self.domain)(x)


def split_batchnorm(model: nn.Module) -> nn.Module:
    """Replace every batch norm of `model` by a `DomainBatchNorm`, in place, and return it."""
    for parent, name, child in list(_children(model)):
        if isinstance(child, _BatchNorm) and not isinstance(parent, DomainBatchNorm):
            setattr(parent, name, DomainBatchNorm(child))
    return model


def set_domain(model: nn.Module, domain: Domain) -> None:
    """Let every layer of `model` that treats the domains apart take what comes next as `domain`'s."""
    for module in model.modules():
        if hasattr(module, "domain"):
            module.domain = domain


def collapse(model: nn.Module, domain: Domain) -> None:
    """Put plain batch norms back, keeping those of `domain`, so that the model fits its own spec again."""
    for parent, name, child in list(_children(model)):
        if isinstance(child, DomainBatchNorm):
            setattr(parent, name, getattr(child, domain))


def batchnorms(model: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of `model`."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@torch.no_grad()
def estimate_statistics(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace the running statistics of every batch norm by those of `batches`, pooled over all of them.

    Each layer is fed with its predecessors' batch-normalised output, as in training; mean and variance are
    pooled exactly, so that a short last batch weighs by its size.  Nothing else of the model changes.

    Parameters
    ----------
    model : nn.Module
        Changed in place; left in the mode it came in.
    batches : iterable of Tensor
        Batches (B, C, H, W).

    Returns
    -------
    int
        The number of images seen; with fewer than two values per channel the statistics stay as they were.
    """
    norms = batchnorms(model)
    seen = 0
    with _collecting(model, norms) as sums:
        for images in batches:
            if len(images) > 1 or images[0, 0].numel() > 1:
                model(images)
                seen += len(images)
    for norm in norms:
        count, total, squares = sums.get(id(norm), (0, None, None))
        if count > 1 and norm.running_mean is not None:
            mean = total / count
            variance = (squares - count * mean.square()).clamp_min(0) / (count - 1)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    return seen


@contextmanager
def _collecting(model: nn.Module, norms: list[_BatchNorm]) -> Iterator[dict[int, tuple]]:
    """Sum the inputs of `norms` while only they are in training mode and their running statistics rest."""
    sums: dict[int, tuple] = {}

    def add(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double().transpose(0, 1).flatten(1)
        count, total, squares = sums.get(id(norm), (0, 0.0, 0.0))
        sums[id(norm)] = (count + x.shape[1], total + x.sum(1), squares + x.square().sum(1))

    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    model.eval()
    for norm in norms:
        norm.train()
        norm.momentum = 0.0
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode


def _children(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for parent in model.modules():
        for name, child in parent.named_children():
            yield parent, name, child
