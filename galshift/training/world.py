"""This process among its peers, as torchrun or Slurm say in the environment; imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """This process among its peers.

    Attributes
    ----------
    rank, size : int
        Number of this process, and of all.
    local_rank : int
        Number of this process on its machine, and so of its GPU.
    launcher : str
        ``torchrun``, ``slurm`` or ``one process``.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    launcher: str = "one process"


def world_from(environment: Mapping[str, str]) -> World:
    """Return the world that torchrun or ``srun`` describes in the environment.

    A Slurm batch script that does not start its tasks with ``srun`` is one process, whatever was allocated.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        return World(rank, size, int(environment.get("LOCAL_RANK", rank)), "torchrun")
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in environment:
        rank, size = int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"])
        return World(rank, size, int(environment.get("SLURM_LOCALID", "0")), "slurm")
    return World()


def first_host(nodes: str) -> str:
    """Return the first host of a Slurm node list such as ``gpu[003-005,9],login1``."""
    match = re.match(r"([^,\[]+)(?:\[([0-9]+)[^\]]*\]([^,]*))?", nodes)
    return "".join(part or "" for part in match.groups()) if match else nodes
