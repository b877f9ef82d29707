"""Which device and precision to use, and why."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from galshift.errors import ResourceError, UsageError
from galshift.training.world import world_from


@dataclass(frozen=True)
class DeviceChoice:
    """A device and a precision, each with the reason in words.

    Attributes
    ----------
    device : torch.device
    precision : str
        ``float32``, ``bfloat16`` or ``float16``; of the network's forward pass, losses are always float32.
    why_device, why_precision : str
    """

    device: torch.device
    precision: str
    why_device: str
    why_precision: str

    def autocast(self) -> AbstractContextManager:
        """Return the context of the forward pass."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=getattr(torch, self.precision))


def choose_device(name: str = "auto", precision: str = "auto") -> DeviceChoice:
    """Return the device called `name` and the precision that suits it.

    Parameters
    ----------
    name : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    precision : str
        ``auto``, ``float32``, ``bfloat16`` or ``float16``.

    Raises
    ------
    ResourceError
        When a GPU is asked for that is not there.
    UsageError
        For a name that is none of these.
    """
    device, why_device = _device(name)
    chosen, why_precision = _precision(device, precision)
    return DeviceChoice(device, chosen, why_device, why_precision)


def _device(name: str) -> tuple[torch.device, str]:
    if name == "auto":
        if torch.cuda.is_available():
            device = torch.device("cuda", _own_gpu())
            return device, f"a GPU is there: {torch.cuda.get_device_name(device)}"
        built = "no GPU is visible" if torch.version.cuda else "this PyTorch was built without CUDA"
        return torch.device("cpu"), built
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()) or (kind == "cpu" and number):
        raise UsageError(f"unknown device '{name}'", where="--device", hint="auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return torch.device("cpu"), "asked for"
    if not torch.cuda.is_available():
        reason = "no GPU is visible" if torch.version.cuda else "this PyTorch was built without CUDA"
        raise ResourceError(
            f"device '{name}' is not available: {reason}", where="--device", hint="try --device auto"
        )
    index = int(number) if number else _own_gpu()
    if index >= torch.cuda.device_count():
        raise ResourceError(
            f"there is no GPU {index}",
            where="--device",
            hint=f"there are {torch.cuda.device_count()}, from 0",
        )
    return torch.device("cuda", index), f"asked for: {torch.cuda.get_device_name(index)}"


def _own_gpu() -> int:
    """The GPU of this process: one each under torchrun or srun, else the current one."""
    local, count = world_from(os.environ), torch.cuda.device_count()
    return local.local_rank % count if local.size > 1 else torch.cuda.current_device()


def _precision(device: torch.device, name: str) -> tuple[str, str]:
    if name != "auto":
        return name, "asked for"
    if device.type != "cuda":
        return "float32", "on a CPU lower precision costs accuracy and gains little"
    major, minor = torch.cuda.get_device_capability(device)
    if major >= 8:
        return "bfloat16", f"compute capability {major}.{minor} has bfloat16"
    return "float32", f"compute capability {major}.{minor} is without bfloat16"
