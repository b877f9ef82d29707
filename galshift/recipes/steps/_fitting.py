"""One network trained on one pair of domains, kept with everything its use needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from galshift.data.augment import AugmentConfig, augment
from galshift.methods._base import Method
from galshift.recipes.steps._candidates import OUTPUTS, keep_outputs
from galshift.recipes.steps._epoch_choice import informed, selection
from galshift.recipes.steps._starting import starting_network
from galshift.training import parallel
from galshift.training.checkpoint import (
    ENCODER,
    FILE,
    Trained,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from galshift.training.heads import Head, make_head
from galshift.training.loop import clear, fit
from galshift.training.unknown import FILE as UNKNOWN
from galshift.training.unknown import save_scorer

if TYPE_CHECKING:
    from galshift.data.options import ReadOptions
    from galshift.recipes.steps._domains import Domain
    from galshift.recipes.steps._material import Material

# A strong view for self-training: what a worse night or another pointing could have done to the galaxy.
STRONG = AugmentConfig(
    shift_px=2.0, zoom=0.1, flux_jitter=0.2, color_jitter=0.05, noise=(0.5, 3.0), blur_px=1.0
)


def fit_one(
    material: Material,
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
    network = starting_network(material, seed)
    selector, training = selection(material.training, method, material.head)
    result = fit(
        network,
        method,
        material.source,
        material.valid,
        material.target if method.uses_target else None,
        training,
        directory=directory,
        seed=seed,
        head=material.head,
        device=material.device,
        augment=augmenter(material.augmentation, material.noise_scale),
        strong_augment=augmenter(STRONG, material.noise_scale),
        stretch=material.preprocessing.stretch,
        selector=informed(selector, material.prior_target),
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
    if material.target is not None and material.head.has_classes:
        keep_outputs(directory, result.model, result.valid, material)
    if material.target is not None:
        sizes = {"n_classes": material.head.n_outputs, "n_target": len(material.target)}
        save_scorer(directory, label, method, {"feature_dim": result.model.feature_dim, **sizes})
    # Seconds differ from run to run and stay out of a checkpoint that repeats bit for bit.
    kept = {key: value for key, value in summary.items() if key != "seconds"}
    save_checkpoint(
        directory,
        result.model,
        preprocessing=material.preprocessing.model_dump(mode="json"),
        classes=material.preprocessing.classes,
        bands=material.preprocessing.bands,
        meta={**(meta or {}), **head_meta(material.head), "seed": seed, "fit": kept},
    )
    clear(directory)
    share(directory)
    return summary


def head_meta(head: Head) -> dict[str, Any]:
    """What a checkpoint's meta says of the head; nothing for classes, as ever."""
    return {} if head.kind == "class" else {"head": head.spec()}


def head_for(read: ReadOptions, source: Domain, classes: Sequence[str], init: Trained | None) -> Head:
    """Return the head for the labels of `source`: that of the run to start from, which its outputs mean.

    Parameters
    ----------
    read : ReadOptions
        How the source was read.
    source : Domain
    classes : sequence of str
        In the network's order.
    init : Trained or None
    """
    if init is not None and not init.meta.get(ENCODER):
        return init.head
    labels = np.asarray(source.info.labels)[source.parts["train"]]
    return make_head(read.label_kind, classes, labels, total=read.vote_total)


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


def source_free(material: Material, baseline: Path) -> Material:
    """Return the material of a method that changes a trained network by the target alone.

    It starts from the run to start from, or else from the source-only network in `baseline`.  The source's
    loss, which such a method does not see, cannot choose its epoch: the last one counts instead.
    """
    training = material.training
    if training.select in ("auto", "source-loss"):
        training = training.model_copy(update={"select": "last"})
    return replace(
        material, source=None, init=material.init or load_checkpoint(baseline, values=True), training=training
    )


def augmenter(config: AugmentConfig, noise_scale: Tensor) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Return the augmentation of `config` as the loop calls it: (linear images, generator) to images."""

    def change(linear: Tensor, generator: torch.Generator) -> Tensor:
        return augment(linear, config, generator, noise_scale.to(linear.device))

    return change
