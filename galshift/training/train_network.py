"""One network trained on one pair of domains, stored with everything its use needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from galshift.data.augment import AugmentConfig, augment
from galshift.methods._base import Method
from galshift.provenance import canonical_json
from galshift.selection._base import Candidate
from galshift.training import parallel
from galshift.training.checkpoint import (
    FILE,
    Trained,
    load_checkpoint,
    read_checkpoint,
    rebuild_with,
    save_trained,
)
from galshift.training.config import TrainConfig
from galshift.training.epoch_choice import informed, selection
from galshift.training.feature_store import FeatureStore
from galshift.training.fixed_features import on_fixed_features, with_head, without_other_size
from galshift.training.heads import Head
from galshift.training.job import Augment, NetworkJob
from galshift.training.loop import fit
from galshift.training.outputs import OUTPUTS, read_candidate, write_outputs
from galshift.training.start import starting_network
from galshift.training.state import clear
from galshift.training.unknown import FILE as UNKNOWN
from galshift.training.unknown import save_scorer

# A strong view for self-training: what a worse night or another pointing could have done to the galaxy.
STRONG = AugmentConfig(
    shift_px=2.0, zoom=0.1, flux_jitter=0.2, color_jitter=0.05, noise=(0.5, 3.0), blur_px=1.0
)


@dataclass(frozen=True)
class Fitted:
    """A network that has been trained into a folder.

    Attributes
    ----------
    directory : Path
    summary : dict
        ``best_epoch``, ``epochs``, ``stopped``, ``seconds`` (None when it had been trained before) and
        ``notes`` of the training.
    network : Trained or None
    outputs : Candidate or None
        Both None where it was trained before, which leaves them on the disk.
    """

    directory: Path
    summary: dict[str, Any]
    network: Trained | None = None
    outputs: Candidate | None = None

    @cached_property
    def trained(self) -> Trained:
        """The network, from the disk only where it was trained before."""
        return self.network or load_checkpoint(self.directory)

    @cached_property
    def candidate(self) -> Candidate | None:
        """What selection sees of it; None for a network that has seen no target, or has no classes."""
        if self.outputs is None and (self.directory / OUTPUTS).is_file():
            return read_candidate(self.directory)
        return self.outputs

    def copied(self, directory: Path) -> Fitted:
        """Return the same network as one in another folder, which a copy of its files went into."""
        network = replace(self.trained, path=directory / FILE)
        return replace(self, directory=directory, network=network, outputs=self.candidate)


def train_network(
    job: NetworkJob,
    method: Method,
    directory: Path,
    seed: int,
    *,
    label: str,
    meta: dict[str, Any] | None = None,
    features: FeatureStore | None = None,
) -> Fitted:
    """Train one network into `directory`, or return at once when it is there already.

    Parameters
    ----------
    job : NetworkJob
    method : Method
    directory : Path
    seed : int
    label : str
        Of the progress display.
    meta : dict, optional
        What the checkpoint says of the run.
    features : FeatureStore, optional
        Keeps what an encoder that is not trained gives; without it that is computed at every step.
    """
    before = trained_before(directory)
    if before is not None:
        return Fitted(directory, {**before, "seconds": None})
    selector, training = selection(job.training, method, job.head)
    own = replace(
        job,
        target=job.target if method.uses_target else None,
        training=training,
        selector=informed(selector, job.prior_target),
    )
    network = starting_network(job, seed)
    own, trainable = on_fixed_features(own, network, method.views, features, method.other_size)
    lacking = without_other_size(own, method.other_size)
    result = fit(trainable, method, own, directory=directory, seed=seed, progress=label)
    summary = {
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "stopped": result.stopped,
        "seconds": round(result.seconds, 1),
        "notes": [*lacking, *result.notes],
    }
    directory.mkdir(parents=True, exist_ok=True)
    candidate = None
    if job.target is not None and job.head.has_classes:
        seen = own if own.target is not None else on_fixed_features(job, network, 0, features)[0]
        candidate = write_outputs(directory, result.model, result.valid, seen)
    if job.target is not None:
        sizes = {"n_classes": job.head.n_outputs, "n_target": len(job.target)}
        save_scorer(directory, label, method, {"feature_dim": result.model.feature_dim, **sizes})
    # Seconds differ from run to run and stay out of a checkpoint that repeats bit for bit.
    lasting = {key: value for key, value in summary.items() if key != "seconds"}
    state = result.state if trainable is network else with_head(network, result.state)
    trained = Trained(
        model=rebuild_with(network.spec, state, directory / FILE),
        preprocessing=job.preprocessing,
        classes=tuple(job.preprocessing.classes),
        bands=tuple(job.preprocessing.bands),
        meta={**(meta or {}), **head_meta(job.head), "seed": seed, "fit": lasting},
        path=directory / FILE,
    )
    save_trained(trained)
    clear(directory)
    share(directory)
    if parallel.connect().rank > 0:  # the first process's files count for all
        return Fitted(directory, summary)
    return Fitted(directory, summary, trained, candidate)


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


def source_free(job: NetworkJob, baseline: Fitted) -> NetworkJob:
    """Return the job of a method that changes a trained network by the target alone.

    It starts from the run to start from, or else from the source-only network `baseline`.  The source's
    loss, which such a method does not see, cannot choose its epoch: the last one counts instead.
    """
    return replace(job, source=None, init=job.init or baseline.trained, training=_to_the_last(job))


def from_trained(job: NetworkJob, baseline: Fitted) -> NetworkJob:
    """Return the job of a method that fits a trained network to the target by unlabelled source images.

    It starts as in :func:`source_free`, without a warm-up: there is no supervised loss.
    """
    training = _to_the_last(job).model_copy(update={"warmup_epochs": 0})
    images = None if job.source is None else replace(job.source, labels=None)
    return replace(job, source=images, init=job.init or baseline.trained, training=training)


def _to_the_last(job: NetworkJob) -> TrainConfig:
    """The options of a training whose epoch the source's loss cannot choose."""
    if job.training.select in ("auto", "source-loss", "source-accuracy"):
        return job.training.model_copy(update={"select": "last"})
    return job.training


def augmentations(config: AugmentConfig, noise_scale: Tensor) -> dict[str, Augment]:
    """Return a job's ``augment`` and ``strong_augment``.

    Parameters
    ----------
    config : AugmentConfig
    noise_scale : Tensor
        (C,) noise level that augmentation is measured in, in the linear unit.
    """
    return {
        "augment": Augmenter(config, noise_scale),
        "strong_augment": Augmenter(STRONG, noise_scale),
    }


@dataclass(frozen=True)
class Augmenter:
    """The augmentation of `config` as the loop calls it: (linear images, generator) to images.

    Attributes
    ----------
    config : AugmentConfig
    noise_scale : Tensor
        (C,) noise level, in the linear unit.
    """

    config: AugmentConfig
    noise_scale: Tensor

    def __call__(self, linear: Tensor, generator: torch.Generator) -> Tensor:
        return augment(linear, self.config, generator, self.noise_scale)

    @property
    def key(self) -> str:
        """Everything that its views depend on beside image and generator."""
        return canonical_json([self.config.model_dump(mode="json"), self.noise_scale.tolist()])
