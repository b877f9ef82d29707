"""One network trained on one pair of domains, kept with everything its use needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from galshift.data.augment import AugmentConfig, augment
from galshift.methods._base import Method
from galshift.training import parallel
from galshift.training.checkpoint import (
    FILE,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from galshift.training.epoch_choice import informed, selection
from galshift.training.heads import Head
from galshift.training.loop import clear, fit
from galshift.training.outputs import OUTPUTS, keep_outputs
from galshift.training.start import starting_network
from galshift.training.unknown import FILE as UNKNOWN
from galshift.training.unknown import save_scorer

if TYPE_CHECKING:
    from galshift.training.job import TrainingJob

# A strong view for self-training: what a worse night or another pointing could have done to the galaxy.
STRONG = AugmentConfig(
    shift_px=2.0, zoom=0.1, flux_jitter=0.2, color_jitter=0.05, noise=(0.5, 3.0), blur_px=1.0
)


def train_network(
    job: TrainingJob,
    method: Method,
    directory: Path,
    seed: int,
    *,
    label: str,
    meta: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train one network into `directory`, or return at once when it is there already.

    Returns
    -------
    dict
        ``best_epoch``, ``epochs``, ``stopped``, ``seconds`` (None when it had been trained before) and
        ``notes`` of the training.
    """
    kept = trained_before(directory)
    if kept is not None:
        return {**kept, "seconds": None}
    network = starting_network(job, seed)
    selector, training = selection(job.training, method, job.head)
    result = fit(
        network,
        method,
        job.source,
        job.valid,
        job.target if method.uses_target else None,
        training,
        directory=directory,
        seed=seed,
        head=job.head,
        device=job.device,
        augment=augmenter(job.augmentation, job.noise_scale),
        strong_augment=augmenter(STRONG, job.noise_scale),
        stretch=job.preprocessing.stretch,
        selector=informed(selector, job.prior_target),
        progress=label,
    )
    summary = {
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "stopped": result.stopped,
        "seconds": round(result.seconds, 1),
        "notes": list(result.notes),
    }
    directory.mkdir(parents=True, exist_ok=True)
    if job.target is not None and job.head.has_classes:
        keep_outputs(directory, result.model, result.valid, job)
    if job.target is not None:
        sizes = {"n_classes": job.head.n_outputs, "n_target": len(job.target)}
        save_scorer(directory, label, method, {"feature_dim": result.model.feature_dim, **sizes})
    # Seconds differ from run to run and stay out of a checkpoint that repeats bit for bit.
    kept = {key: value for key, value in summary.items() if key != "seconds"}
    save_checkpoint(
        directory,
        result.model,
        preprocessing=job.preprocessing.model_dump(mode="json"),
        classes=job.preprocessing.classes,
        bands=job.preprocessing.bands,
        meta={**(meta or {}), **head_meta(job.head), "seed": seed, "fit": kept},
    )
    clear(directory)
    share(directory)
    return summary


def head_meta(head: Head) -> dict[str, Any]:
    """What a checkpoint's meta says of the head; nothing for classes, as ever."""
    return {} if head.kind == "class" else {"head": head.spec()}


def trained_before(directory: Path) -> dict[str, Any] | None:
    """Return the summary of the training whose model is in `directory` already, or None."""
    here = read_checkpoint(directory)[0]["meta"]["fit"] if (directory / FILE).is_file() else None
    found = parallel.from_first(here, parallel.connect())
    if found is not None:
        clear(directory)
        share(directory)
    return found


def share(directory: Path) -> None:
    """Give every other process a copy of what the first one has in `directory`, once it is all there."""
    world = parallel.connect()
    first = Path(parallel.from_first(str(directory.absolute()), world))
    if world.rank > 0:
        directory.mkdir(parents=True, exist_ok=True)
        for name in (UNKNOWN, FILE, OUTPUTS, "metrics.jsonl"):
            if (first / name).is_file():
                shutil.copyfile(first / name, directory / name)


def source_free(job: TrainingJob, baseline: Path) -> TrainingJob:
    """Return the job of a method that changes a trained network by the target alone.

    It starts from the run to start from, or else from the source-only network in `baseline`.  The source's
    loss, which such a method does not see, cannot choose its epoch: the last one counts instead.
    """
    training = job.training
    if training.select in ("auto", "source-loss"):
        training = training.model_copy(update={"select": "last"})
    return replace(job, source=None, init=job.init or load_checkpoint(baseline), training=training)


def augmenter(config: AugmentConfig, noise_scale: Tensor) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Return the augmentation of `config` as the loop calls it: (linear images, generator) to images."""

    def change(linear: Tensor, generator: torch.Generator) -> Tensor:
        return augment(linear, config, generator, noise_scale.to(linear.device))

    return change
