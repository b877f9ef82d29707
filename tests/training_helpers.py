"""A small, quick training problem."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from galshift.methods._base import Method
from galshift.models.build import build_model
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import FitResult, fit
from galshift.training.sets import TrainingSet
from galshift.types import Batch

SIZE, BANDS, CLASSES = 16, 2, 3
HEAD = ClassHead(("a", "b", "c"))


class MeanMatching(Method):
    """Distance between mean features, with a learned scale: a stand-in with a network of its own."""

    def modules(self, feature_dim: int, n_classes: int, n_target: int) -> nn.ModuleDict:
        """One learned scale."""
        return nn.ModuleDict({"scale": nn.Linear(1, 1, bias=False)})

    def losses(self, source: Batch, target: Batch, progress: float) -> dict[str, Tensor]:
        """Return the squared distance between means, times progress."""
        gap = (source.features.mean(0) - target.features.mean(0)).square().mean()
        scale = self.nets["scale"].weight.square().sum()
        return {"gap": progress * gap, "scale": 0.01 * (scale - 1).square()}


class SourceOnly(Method):
    """No adaptation."""

    uses_target = False


class Slow:
    """Images that are not in memory."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the images at `indices`."""
        return self.pixels[indices]


def images(n: int, seed: int, shift: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return N noisy images with a bright row that tells the class, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    pixels = torch.randn(n, BANDS, SIZE, SIZE, generator=generator) + shift
    pixels[torch.arange(n), 0, 3 + labels * 4, :] += 3
    return pixels, labels


def sets(n_source: int = 48, n_target: int = 40) -> dict[str, TrainingSet]:
    """Return the three sets of an adaptation."""
    return {
        "source_train": TrainingSet(*images(n_source, 0)),
        "source_valid": TrainingSet(*images(24, 1)),
        "target_train": TrainingSet(images(n_target, 2, shift=0.5)[0]),
    }


def noisy(linear: Tensor, generator: torch.Generator) -> Tensor:
    """Augment by noise."""
    return linear + 0.1 * torch.randn(linear.shape, generator=generator)


def train(
    directory: Path, kind: str = "adapt", *, method: Method | None = None, data: dict | None = None, **options
) -> FitResult:
    """Train a small network; `options` are those of TrainConfig and some of the job's and of fit."""
    extra = {name: options.pop(name) for name in ("on_epoch", "trackers") if name in options}
    how = {name: options.pop(name) for name in ("augment", "selector") if name in options}
    seed, name = options.pop("seed", 3), options.pop("model", "deepmerge")
    config = TrainConfig(**({"epochs": 4, "warmup_epochs": 1, "batch_size": 16, "ema": 0.9} | options))
    data = sets() if data is None else data
    if kind == "train":
        data = data | {"target_train": None}
        method = method or SourceOnly()
    return fit(
        build_model(name, in_channels=BANDS, size=SIZE, n_classes=CLASSES),
        method or MeanMatching(),
        TrainingJob(
            source=data["source_train"],
            valid=data["source_valid"],
            target=data["target_train"],
            training=config,
            head=HEAD,
            device="cpu",
            **({"augment": noisy} | how),
        ),
        directory=directory,
        seed=seed,
        progress=None,
        **extra,
    )


def weights_hash(result: FitResult) -> str:
    """Return a hash of every bit of the final weights."""
    digest = hashlib.sha256()
    for name in sorted(result.state):
        digest.update(name.encode() + result.state[name].numpy().tobytes())
    return digest.hexdigest()
