"""One optimiser step of each method, by one of several processes: `python -m tests.training_parallel FOLDER`.

Started with RANK and WORLD_SIZE set; writes each method's losses and gradients to FOLDER.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import torch
from torch import Tensor

from galshift.errors import ConfigError, Interrupted
from galshift.methods import METHODS
from galshift.models.build import build_model
from galshift.training import parallel
from galshift.training._networks import Networks
from galshift.training.config import TrainConfig
from galshift.training.job import TrainingJob
from galshift.training.plan import Plan
from galshift.training.sets import TrainingSet
from galshift.training.state import save_state
from galshift.training.step import DomainInput
from galshift.training.world import World
from tests.training_helpers import HEAD, images, train, weights_hash

BATCH = 24
# Nothing random but the order of images: the same for any number of processes.
PLAIN = {"epochs": 4, "warmup_epochs": 2, "augment": None, "clip": 0.5}


def one_step(name: str, world: World, *, shard: bool = False, model: str = "deepmerge") -> dict[str, Tensor]:
    """Return loss terms and gradients after one step of the method `name` on this process's share."""
    method = METHODS.get(name)()
    source, labels = images(BATCH, 0)
    target = images(BATCH, 1, shift=0.5)[0]
    config = TrainConfig(
        epochs=10,
        warmup_epochs=0,
        batch_size=BATCH,
        clip=None,
        optimiser="sgd",
        shard=shard,
        channels_last=False,
    )
    plan = Plan(config, 0, BATCH if method.needs_source else 0, BATCH, parts=world.size)
    job = TrainingJob(
        source=TrainingSet(source, labels) if method.needs_source else None,
        valid=None,
        target=TrainingSet(target),
        training=config,
        head=HEAD,
        device="cpu",
    )
    networks = Networks(job, build_model(model, in_channels=2, size=16, n_classes=3), method, plan, world)
    part = torch.arange(BATCH).chunk(world.size)[world.rank]

    def inputs(number: int, accumulate: int) -> list[DomainInput | None]:
        views = tuple(target[part] + 0.1 * view for view in range(1, method.views + 1))
        return [
            DomainInput(source[part], part, labels[part]) if method.needs_source else None,
            DomainInput(target[part], part, None, views) if method.uses_target else None,
        ]

    values = networks.step(5, inputs, 1, probe=True)
    found = {f"value/{key}": value for key, value in values.items()}
    named = [*networks.model.named_parameters(), *networks.nets.named_parameters(prefix="nets")]
    found |= {f"gradient/{key}": _whole(p.grad) for key, p in named if p.grad is not None}
    found |= {f"buffer/{key}": value for key, value in networks.model.named_buffers()}
    return found


def _whole(gradient: Tensor) -> Tensor:
    return gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient


def every_method(world: World) -> dict[str, dict[str, Tensor]]:
    """Return `one_step` of every method that runs on this network."""
    found = {}
    for name in METHODS.names():
        try:
            found[name] = one_step(name, world)
        except ConfigError:
            continue
    return found


def split_run(folder: Path, *, stop_after: int | None = None) -> str:
    """Train a split network, stopping once and going on if asked to, and return a hash of its weights."""

    def stop(row: dict) -> None:
        if row["epoch"] == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    options = {"model": "resnet18", "shard": True, "ema": None, "epochs": 3, "steps_per_epoch": 2}
    if stop_after is not None:
        with contextlib.suppress(Interrupted):
            train(folder, on_epoch=[stop], **options)
    return weights_hash(train(folder, **options))


if __name__ == "__main__":
    torch.set_num_threads(1)
    here = parallel.connect()
    result = every_method(here)
    split = one_step("source-only", here, shard=True, model="resnet18")
    folder = Path(sys.argv[1])
    runs = [split_run(folder / "whole"), split_run(folder / "stopped", stop_after=2)]
    plain = weights_hash(train(folder / "plain", **PLAIN))
    if here.rank == 0:
        save_state(folder / "methods.safetensors", {"methods": result, "split": split, "runs": runs})
    print(plain)
