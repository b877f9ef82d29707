"""What a training would use on this machine."""

from __future__ import annotations

import os
from typing import Any

import torch

from galshift.training.device import choose_device
from galshift.training.threads import measured_threads
from galshift.training.world import world_from


def in_use(cpus: int, *, measure: bool) -> dict[str, Any]:
    """Return devices, threads and processes, each choice with its reason in words.

    Parameters
    ----------
    cpus : int
        Usable by this process.
    measure : bool
        Whether to measure the seconds of a step by number of threads.
    """
    choice, world = choose_device(), world_from(os.environ)
    return {
        "cuda": [_gpu(index) for index in range(torch.cuda.device_count())],
        "device": str(choice.device),
        "why": choice.why_device,
        "precision": choice.precision,
        "why_precision": choice.why_precision,
        "processes": world.size,
        "launcher": world.launcher,
        "threads": torch.get_num_threads(),
        "step_seconds": measured_threads(cpus) if measure else {},
    }


def _gpu(index: int) -> dict[str, Any]:
    free, total = torch.cuda.mem_get_info(index)
    return {
        "name": torch.cuda.get_device_name(index),
        "memory_gb": round(total / 1e9, 1),
        "free_gb": round(free / 1e9, 1),
    }
