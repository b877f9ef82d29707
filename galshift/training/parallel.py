"""Many processes as one: who we are, gathering with gradients, and batch norm over the whole batch.

Every process forwards its share of a batch, gathers all shares' outputs and computes the same losses on the
global batch, so that N x (B / N) images give the loss and the gradient of 1 x B.
"""

from __future__ import annotations

import atexit
import inspect
import json
import os
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from galshift.errors import ResourceError
from galshift.training.world import World, first_host, world_from
from galshift.types import Batch, Output


def connect() -> World:
    """Join the process group when several processes were started together, and return our place in it.

    With GPUs there, each process takes the one of its number on its machine.

    Raises
    ------
    ResourceError
        When the peers cannot be reached.
    """
    world = world_from(os.environ)
    if world.size == 1 or dist.is_initialized():
        return world
    if world.launcher == "slurm":
        os.environ.setdefault("MASTER_ADDR", first_host(os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")))
        # One port per job, so that two jobs on a machine do not meet.
        os.environ.setdefault("MASTER_PORT", str(20000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 20000))
    backend = "gloo"
    if torch.cuda.is_available() and dist.is_nccl_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(world.local_rank % torch.cuda.device_count())
    try:
        dist.init_process_group(backend, rank=world.rank, world_size=world.size)
    except (RuntimeError, ValueError) as error:
        raise ResourceError(
            f"process {world.rank} of {world.size} cannot reach the others: {str(error).splitlines()[0]}",
            hint="start with torchrun --nproc-per-node N -m galshift ..., or srun",
        ) from error
    atexit.register(dist.destroy_process_group)
    return world


class _Gather(torch.autograd.Function):
    """Concatenate equal shares of all processes.

    Backward keeps this process's slice, times the number of processes: all of them compute the same loss on
    the same gathered batch, so the slice is the whole derivative, and data parallelism will average it.
    """

    @staticmethod
    def forward(context: Any, share: Tensor) -> Tensor:
        """Gather along the first axis."""
        parts = [
            torch.empty_like(share, memory_format=torch.contiguous_format)
            for _ in range(dist.get_world_size())
        ]
        dist.all_gather(parts, share.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of this process's share."""
        size = dist.get_world_size()
        return gradient.chunk(size)[dist.get_rank()] * size


def gather(share: Tensor, world: World) -> Tensor:
    """Return the concatenation over processes, differentiable for floating shares."""
    return share if world.size == 1 else _Gather.apply(share)


def gather_batch(batch: Batch | None, world: World) -> Batch | None:
    """Return the global batch, outputs with gradients; its images stay this process's own."""
    if batch is None or world.size == 1:
        return batch
    outputs = [
        Output(gather(out.features, world), gather(out.logits, world)) for out in (batch.output, *batch.views)
    ]
    return replace(
        batch,
        output=outputs[0],
        views=tuple(outputs[1:]),
        labels=None if batch.labels is None else gather(batch.labels, world),
        index=gather(batch.index, world),
    )


def data_parallel(network: nn.Module, device: torch.device, *, unused: bool) -> nn.Module:
    """Return `network` with gradients averaged over processes while they are computed.

    `unused` says that a step may leave some parameters out.
    """
    wrapper = nn.parallel.DistributedDataParallel
    # The global batch norm keeps buffers equal; the option that says so was renamed in PyTorch 2.13.
    names = inspect.signature(wrapper).parameters
    apart = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    return wrapper(
        network,
        device_ids=[device] if device.type == "cuda" else None,
        gradient_as_bucket_view=True,
        find_unused_parameters=unused,
        **{apart: False},
    )


@torch.no_grad()
def average_gradients(parameters: list[nn.Parameter], world: World) -> None:
    """Average over processes the gradients of parameters that no wrapper looks after."""
    if world.size > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= world.size


def agree(flags: list[bool], world: World) -> list[bool]:
    """Return, for each flag, whether any process raised it."""
    if world.size == 1:
        return flags
    raised = torch.tensor(flags, dtype=torch.int32)
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in raised]


def from_first(value: Any, world: World) -> Any:
    """Return the first process's JSON-able `value` on every process."""
    if world.size == 1:
        return value
    text = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
    length = torch.tensor([len(text)])
    dist.broadcast(length, 0)
    if world.rank != 0:
        text = torch.empty(int(length), dtype=torch.uint8)
    dist.broadcast(text, 0)
    return json.loads(bytes(text.tolist()).decode())


def synchronise_batchnorm(model: nn.Module, device: torch.device) -> nn.Module:
    """Return `model` with batch norms whose statistics are those of the global batch; state names stay.

    PyTorch's own works on GPUs only; on a CPU ours takes its place.
    """
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, _GlobalBatchNorm(child))
    return model


class _Sum(torch.autograd.Function):
    """The sum over processes; each one's share enters every other's loss, so gradients are summed too."""

    @staticmethod
    def forward(context: Any, share: Tensor) -> Tensor:
        """Sum."""
        total = share.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Sum the gradients."""
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class _GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm over the images of all processes (equal shares), by two differentiable sums."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        self.load_state_dict(norm.state_dict())
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, H, W) by the mean and variance of every process's x."""
        if not self.training:
            return super().forward(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        count = x.numel() // x.shape[1] * dist.get_world_size()
        # Two passes: one (mean of squares minus square of mean) loses digits where the mean is large.
        mean = _Sum.apply(x.sum(axes)) / count
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale.view(shape) + self.bias.view(shape)
