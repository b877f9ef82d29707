"""Published systems on the pairs: a row ``settings-NAME`` is ``--settings NAME`` by the code of `adapt`.

Of a system everything is taken that its settings say (network, latent, stretch, augmentation, optimiser,
learning rate, batch, decay, clip, class weights, loss and its weighting, which epoch is used) but:

- sizes: images are of 48 pixels here (50 of shapes, 32 of digits), not enlarged to what a system names;
- epochs: as many steps as the other rows have, 12 epochs in batches of 32; a larger batch has more epochs.
  Warm-up and milestones are at the same fraction of the run as published (gammalearn, which publishes no
  length, has them at its epochs);
- nothing stops early.

The rows of `POOLS` are the other way round: our defaults with the network of gammalearn's settings alone (a
residual network of a quarter of the usual width), with epochs alone, as many as cost half of that network, or
on images whose sky was left in.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from galshift import settings
from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.preprocess import PreprocessConfig, Preprocessing, fit_preprocessing
from galshift.methods import METHODS
from galshift.training.config import TrainConfig
from galshift.training.train_network import train_network
from galshift.types import Chosen
from galshift.verbs.adapt.config import AdaptStepConfig
from tests.benchmarks.pairs.rows import BATCH, EPOCHS, PLAIN, RENEWED, Row, chosen, job_of, row_of, rows_of
from tests.benchmarks.transfer_tasks import Task

PREFIX = "settings-"
POOL = (PLAIN, RENEWED, "sinkhorn")
SYSTEMS = tuple(f"{PREFIX}{name}" for name in settings.names())
#: Those whose networks train in less than a minute a pair on one core.
QUICK = tuple(f"{PREFIX}{name}" for name in ("sidda", "deepmerge", "deepmerge2", "gammalearn"))
OTHERS = tuple(name for name in SYSTEMS if name not in QUICK)
#: Our defaults with one thing changed, to see what explains a difference: network and epochs.
CHANGED: dict[str, tuple[Chosen, int]] = {
    "resnet18": (chosen("resnet18", width=16, latent=256), EPOCHS),
    "longer": (chosen("deepmerge"), 5 * EPOCHS),
    "as-is": (chosen("deepmerge"), EPOCHS),  # with a sky that was left in
}
#: What `auto` chooses from, by each change.
POOLS = {change: tuple(f"{change}-{name}" for name in POOL) for change in CHANGED}
#: All rows of this file, which the verdict's tables leave out.
APART = (*SYSTEMS, *(name for pool in POOLS.values() for name in pool))


def system_rows(task: Task, seed: int, wanted: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of the published systems that are in `wanted`."""
    for name in (name for name in SYSTEMS if name in wanted):
        config = AdaptStepConfig.model_validate(
            {"source": "source", "target": "target", "settings": name.removeprefix(PREFIX)}
        )
        own = replace(task, preprocessing=_preprocessing(task, config.preprocess, seed))
        training = as_many_steps(config.training, len(task.source[0]))
        job = job_of(own, config.model, training, config.augment)
        method = METHODS.get(config.method.kind)(config.method.config)
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            made = train_network(job, method, Path(folder), seed, label="")
            seconds = time.process_time() - started
            yield name, row_of(made, own, job, seconds)


def changed_rows(task: Task, seed: int, wanted: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of `POOLS` that are in `wanted`."""
    for change, (network, epochs) in CHANGED.items():
        own = tuple(name for name in POOL if f"{change}-{name}" in wanted)
        job = job_of(task, network, TrainConfig(epochs=epochs, batch_size=BATCH, patience=None))
        for name, row in rows_of(task, job, seed, own, PLAIN, POOL) if own else ():
            yield f"{change}-{name}", row


def as_many_steps(training: TrainConfig, n: int) -> TrainConfig:
    """Return a system's training at the number of steps that the other rows have on `n` source images."""
    epochs = round(EPOCHS * math.ceil(n / BATCH) / math.ceil(n / training.batch_size))
    values = training.model_dump() | {"epochs": epochs, "patience": None, "steps_per_epoch": None}
    if "epochs" in training.model_fields_set:
        part = epochs / training.epochs
        values["lr_milestones"] = [max(1, round(part * epoch)) for epoch in training.lr_milestones]
        if training.warmup_epochs is not None:
            values["warmup_epochs"] = round(part * training.warmup_epochs)
    return TrainConfig.model_validate(values)


def _preprocessing(task: Task, config: PreprocessConfig, seed: int) -> Preprocessing:
    """Constants of a system's own stretch, fitted on the training images as `adapt` fits them."""
    constants, images = task.preprocessing, task.source[0].numpy()
    scale = constants.pixel_scale_arcsec
    source = Cutouts(
        images=images,
        ids=np.arange(len(images)).astype(str),
        labels=task.source[1].numpy(),
        classes=tuple(constants.classes),
        bands=tuple(constants.bands),
        unit=constants.unit,
        pixel_scale=scale,
    )
    own = config.model_copy(update={"size": constants.size, "pixel_scale_arcsec": scale})
    return fit_preprocessing(InMemory(source), None, own, seed)
