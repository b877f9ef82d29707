"""One run of the transfer benchmark: train, and keep every epoch's outputs to replay selection on."""

from __future__ import annotations

import copy
import json
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from galshift.data.augment import AugmentConfig, augment
from galshift.domains.match_noise import matched
from galshift.methods import METHODS
from galshift.methods._base import Method
from galshift.models.build import build_model
from galshift.provenance import atomic_path
from galshift.training.config import TrainConfig
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import TrainingSet
from tests.benchmarks.transfer_tasks import Task

EPOCHS, BATCH = 12, 32
PLAIN = "source-only-plain"  # without the noise augmentation that every other row has
STRONG = AugmentConfig(
    shift_px=2.0, zoom=0.1, flux_jitter=0.2, color_jitter=0.05, noise=(0.5, 3.0), blur_px=1.0
)
NOISY = AugmentConfig(noise=(0.0, 1.0))
#: What is kept of every epoch: (epochs, N, D or K) arrays.
PARTS = ("valid", "source_test", "target", "target_test")


@dataclass(frozen=True)
class Cell:
    """One method, task and seed.

    Attributes
    ----------
    features, logits : dict of str to ndarray
        Part (of `PARTS`) to (E, N, D) and (E, N, K), a row an epoch; features of ``valid`` and ``target``.
    labels : dict of str to ndarray
        Part to (N,).
    unknown : ndarray or None
        (E, N) score of the target's test part, of universal methods.
    facts : dict
        ``seconds`` (CPU), ``phases`` (E) and ``valid_loss`` (E).
    """

    features: dict[str, np.ndarray]
    logits: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    unknown: np.ndarray | None
    facts: dict[str, Any]


def run_cell(name: str, task: Task, seed: int, folder: Path) -> None:
    """Train one method on one task and write its ``.npz`` into `folder`."""
    path = folder / f"{name}.npz"
    method: Method = METHODS.get("source-only" if name == PLAIN else name)()
    model = new_network(task, seed)
    weights = folder / "source-only.safetensors"
    if not method.needs_source:  # source-free: from the source-only network of this seed
        model.load_state_dict(load_file(weights))
    watch = Watch(model, method, task)
    config = AugmentConfig() if name == PLAIN else NOISY
    source, valid, target = _sets(task, method, seed)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        result = fit(
            model,
            method,
            TrainingJob(
                source=source,
                valid=valid,
                target=target,
                training=TrainConfig(epochs=EPOCHS, batch_size=BATCH, patience=None),
                **settings_of(task, config),
            ),
            directory=Path(directory),
            seed=seed,
            on_epoch=[watch],
            progress=None,
        )
    seconds = time.process_time() - started - watch.seconds
    if name == "source-only":
        save_file({key: value.contiguous() for key, value in result.state.items()}, weights)
    facts = {
        "seconds": seconds,
        "phases": [row["phase"] for row in result.history],
        "valid_loss": [row["valid_loss"] for row in result.history],
        "config": _config(name),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, facts=np.array(json.dumps(facts)), **watch.arrays())


def new_network(task: Task, seed: int, n_classes: int | None = None) -> nn.Module:
    """Return an untrained network for a task, of its classes or of `n_classes`."""
    given = task.preprocessing
    n = len(task.classes) if n_classes is None else n_classes
    return build_model("deepmerge", in_channels=len(given.bands), size=given.size, n_classes=n, seed=seed)


def settings_of(task: Task, augmentation: AugmentConfig = NOISY) -> dict[str, Any]:
    """Return what every `TrainingJob` of a task has: head, device, augmentations and stretch."""
    return {
        "head": ClassHead(tuple(task.classes)),
        "device": "cpu",
        "augment": partial(_augment, config=augmentation, scale=task.noise_scale),
        "strong_augment": partial(_augment, config=STRONG, scale=task.noise_scale),
        "stretch": task.preprocessing.stretch,
    }


def training_sets(task: Task) -> tuple[TrainingSet, TrainingSet, TrainingSet]:
    """Return source, validation and target of a task, the target without labels."""
    parts = (task.source, task.valid, (task.target[0], None))
    return tuple(
        TrainingSet(images, labels, tuple(f"{name}{k}" for k in range(len(images))))
        for name, (images, labels) in zip("svt", parts, strict=True)
    )


def _sets(
    task: Task, method: Method, seed: int
) -> tuple[TrainingSet | None, TrainingSet, TrainingSet | None]:
    """The sets as adapt gives them: no target labels, and matched noise where the method needs that."""
    source, valid, target = training_sets(task)
    if method.matched:
        source, valid, target = matched(source, valid, target, seed)
    return source if method.needs_source else None, valid, target if method.uses_target else None


def is_done(name: str, folder: Path) -> bool:
    """Return whether the run is there, with the method's options as they are now."""
    path = folder / f"{name}.npz"
    if not path.is_file():
        return False
    with np.load(path) as stored:
        return json.loads(str(stored["facts"])).get("config", _config(name)) == _config(name)


def _config(name: str) -> dict[str, Any]:
    """The options of a method that a run depends on."""
    method = METHODS.get("source-only" if name == PLAIN else name)
    return {"version": method.version, **method.Config().model_dump(mode="json")}


def read_cell(path: Path, task_labels: dict[str, np.ndarray]) -> Cell:
    """Return what `run_cell` wrote."""
    with np.load(path) as stored:
        held = {name: stored[name] for name in stored.files}
    return Cell(
        features={p: held[f"features_{p}"].astype(np.float32) for p in ("valid", "target")},
        logits={p: held[f"logits_{p}"] for p in PARTS},
        labels=task_labels,
        unknown=held.get("unknown"),
        facts=json.loads(str(held["facts"])),
    )


class Watch:
    """Called after every epoch: the outputs of the network as it is, after the method's last word."""

    def __init__(self, model: nn.Module, method: Method, task: Task) -> None:
        self.model, self.method = model, method
        self.inputs = {p: task.preprocessing.stretch(getattr(task, p)[0]) for p in PARTS}
        self.kept: dict[str, list[np.ndarray]] = {}
        self.seconds = 0.0

    def __call__(self, row: dict[str, Any]) -> None:
        started = time.process_time()
        model = copy.deepcopy(self.model).eval()
        # Validation as training sees it: with the source's batch statistics where domains have their own.
        self.method.select_domain(model, "source")
        self._look(model, ("valid",))
        if self.method.uses_target:
            self.method.select_domain(model, "target")
            self.method.finish(model, self.inputs["target"].split(64))
        self._look(model.eval(), PARTS[1:])
        self.seconds += time.process_time() - started

    @torch.no_grad()
    def _look(self, model: nn.Module, parts: tuple[str, ...]) -> None:
        for part in parts:
            self._keep(part, [model(chunk) for chunk in self.inputs[part].split(256)])

    def _keep(self, part: str, outputs: list) -> None:
        features = torch.cat([output.features for output in outputs])
        logits = torch.cat([output.logits for output in outputs])
        self.kept.setdefault(f"logits_{part}", []).append(logits.numpy())
        if part in ("valid", "target"):
            self.kept.setdefault(f"features_{part}", []).append(features.half().numpy())
        if part == "target_test":
            scores = [self.method.unknown_score(output) for output in outputs]
            if scores[0] is not None:
                self.kept.setdefault("unknown", []).append(torch.cat(scores).numpy())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything kept, stacked over epochs."""
        return {name: np.stack(rows) for name, rows in self.kept.items()}


def _augment(images: Tensor, generator: torch.Generator, *, config: AugmentConfig, scale: Tensor) -> Tensor:
    return augment(images, config, generator, scale)
