"""The rows of the table: networks of the product, and classifiers without a network, on one pair and seed."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from galshift.data.input_config import AugmentConfig
from galshift.data.match_noise import NoiseMatcher, noise_excess
from galshift.domains.match_noise import matched
from galshift.evaluation.baselines import BASELINES
from galshift.evaluation.baselines._base import standardise_by
from galshift.methods import METHODS
from galshift.methods._domain_batchnorm import estimate_statistics
from galshift.models import MODELS
from galshift.training.config import TrainConfig
from galshift.training.device import choose_device
from galshift.training.feature_store import FeatureStore
from galshift.training.heads import ClassHead
from galshift.training.job import NetworkJob
from galshift.training.sets import TrainingSet
from galshift.training.train_network import Fitted, augmentations, from_trained, source_free, train_network
from galshift.training.validate import model_inputs, outputs
from galshift.types import Chosen
from galshift.verbs.adapt.mix_prior import target_mix
from tests.benchmarks.transfer_tasks import Task

EPOCHS, BATCH = 12, 32
PARTS = ("valid", "source_test", "target", "target_test")
PLAIN, OTHER, COARSE = "source-only", "source-only-2", "source-only-coarse"
RENEWED = (
    "source-only-renewed"  # with the target's batch-norm statistics: AdaBN without a training of its own
)
ALIGNED = ("cdan-e", "infomax", "dann", "sinkhorn", "tent")
SMALL = (PLAIN, OTHER, COARSE, RENEWED, "adabn", *ALIGNED)
FROZEN = ("probe", "standardise", "coral-features", "pseudo-labels")
TUNED = ("tuned", "tuned-sinkhorn")
UNWEIGHTED = ("source-only-unweighted", "sinkhorn-unweighted", "probe-unweighted")
NO_NETWORK = ("morphology-forest", "pixel-knn")
ENCODER_SIDE = 96  # pixels that the encoder is given

Outputs = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Row:
    """What one classifier says.

    Attributes
    ----------
    logits : dict of str to ndarray
        Part (of `PARTS`) to (N, K); logarithms of probabilities where there is no network.
    features : dict of str to ndarray
        ``valid`` and ``target`` to (N, D); empty where there is no network.
    seconds : float
        CPU time of the training.
    """

    logits: dict[str, np.ndarray]
    features: dict[str, np.ndarray]
    seconds: float


def small_rows(task: Task, seed: int, wanted: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of our small network that are in `wanted`; source-only comes first where any is."""
    job = job_of(task, chosen("deepmerge"), TrainConfig(epochs=EPOCHS, batch_size=BATCH, patience=None))
    yield from rows_of(task, job, seed, wanted, PLAIN, SMALL)


def frozen_rows(task: Task, seed: int, wanted: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of the frozen EfficientNet-lite0 that are in `wanted`."""
    training = TrainConfig(epochs=EPOCHS, batch_size=BATCH, patience=None, tune="head", cached_views=2)
    job = job_of(task, chosen("efficientnet-lite0", size=ENCODER_SIDE), training)
    yield from rows_of(task, job, seed, wanted, "probe", FROZEN)


def tuned_rows(task: Task, seed: int, wanted: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of EfficientNet-lite0 with all its layers tuned: the head first, then every layer."""
    training = TrainConfig(epochs=EPOCHS // 3, batch_size=BATCH, patience=None, tune="all")
    job = job_of(task, chosen("efficientnet-lite0", size=ENCODER_SIDE), training)
    for name, row in rows_of(task, job, seed, tuple(map(_method, wanted)), PLAIN, (PLAIN, "sinkhorn")):
        yield {PLAIN: "tuned", "sinkhorn": "tuned-sinkhorn"}[name], row


def unweighted_rows(task: Task, seed: int, wanted: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield rows whose losses give every image of the source the same weight.

    Nothing where the source holds as many of each class: the weights of the default are 1 there.
    """
    counts = task.source[1].bincount()
    if counts.min() == counts.max():
        return
    plain = TrainConfig(epochs=EPOCHS, batch_size=BATCH, patience=None, class_weights="none")
    names = tuple(_method(name) for name in wanted if name != "probe-unweighted")
    if names:
        job = job_of(task, chosen("deepmerge"), plain)
        for name, row in rows_of(task, job, seed, names, PLAIN, (PLAIN, "sinkhorn")):
            yield f"{name}-unweighted", row
    if "probe-unweighted" in wanted:
        training = plain.model_copy(update={"tune": "head", "cached_views": 2})
        job = job_of(task, chosen("efficientnet-lite0", size=ENCODER_SIDE), training)
        for name, row in rows_of(task, job, seed, ("probe",), "probe", ("probe",)):
            yield f"{name}-unweighted", row


def _method(row: str) -> str:
    """The method of a row of `TUNED` or `UNWEIGHTED`."""
    return "sinkhorn" if "sinkhorn" in row else PLAIN


def chosen(kind: str, **options: object) -> Chosen:
    """Return the choice of a network with its options."""
    return Chosen(kind=kind, config=MODELS.get(kind).Config(**options))


def job_of(
    task: Task, model: Chosen, training: TrainConfig, augment: AugmentConfig | None = None
) -> NetworkJob:
    """Return the job as `adapt` makes it, with the default's augmentation where none is given."""
    usual = AugmentConfig(noise=(0.0, 1.0), dihedral=not upright(task))
    parts = (task.source, task.valid, (task.target[0], None))
    source, valid, target = (
        TrainingSet(images, labels, tuple(f"{name}{k}" for k in range(len(images))))
        for name, (images, labels) in zip("svt", parts, strict=True)
    )
    return NetworkJob(
        source=source,
        valid=valid,
        target=target,
        training=training,
        head=ClassHead(tuple(task.classes)),
        device="cpu",
        **augmentations(augment or usual, task.noise_scale),
        stretch=task.preprocessing.stretch,
        preprocessing=task.preprocessing,
        model=model,
    )


def upright(task: Task) -> bool:
    """Return whether classes are told by how they stand, as a 6 is from a 9: views do not turn them then."""
    return "6" in task.classes


def rows_of(
    task: Task, job: NetworkJob, seed: int, wanted: tuple[str, ...], base: str, names: tuple[str, ...]
) -> Iterator[tuple[str, Row]]:
    """Yield those of `names` that are in `wanted`, all by `job`'s network; `base` is source-only."""
    features = FeatureStore(seed)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)

        def fit(name: str, own: NetworkJob, own_seed: int = seed) -> tuple[Fitted, float]:
            method = METHODS.get(PLAIN if name in (base, OTHER, COARSE) else name)()
            if method.from_trained:
                own = from_trained(own, plain)
            elif not method.needs_source:
                own = source_free(own, plain)
            if method.matched:
                own = _matched(own, seed)
            started = time.process_time()
            made = train_network(own, method, folder / name, own_seed, label="", features=features)
            return made, time.process_time() - started

        plain, seconds = fit(base, job)
        own_job = replace(job, prior_target=target_mix(plain, job))
        for name in names:
            if name not in wanted:
                continue
            if name == base:
                made = plain
            elif name == OTHER:
                made, seconds = fit(name, job, seed + 1000)
            elif name == COARSE:
                made, seconds = fit(name, _coarse(job), seed + 2000)
            elif name == RENEWED:
                made, seconds = _renewed(plain, job), 0.0
            else:
                made, seconds = fit(name, own_job)
            yield name, row_of(made, task, job, seconds, coarse=name == COARSE)


def _renewed(plain: Fitted, job: NetworkJob) -> Fitted:
    """The network with the target's batch-norm statistics."""
    model, choice = copy.deepcopy(plain.trained.model), choose_device("cpu", "float32")
    estimate_statistics(model, model_inputs(job.target, job.stretch, choice.device))
    seen, said = outputs(model, job.target, job.stretch, choice), plain.candidate
    moved = replace(said, features_target=seen.features.numpy(), logits_target=seen.logits.numpy())
    return replace(plain, network=replace(plain.trained, model=model), outputs=moved)


def _coarse(job: NetworkJob) -> NetworkJob:
    """The job with images that were averaged two by two."""
    sets = {
        name: replace(getattr(job, name), images=_pooled(getattr(job, name).images))
        for name in ("source", "valid", "target")
    }
    constants = job.preprocessing.model_copy(update={"size": job.preprocessing.size // 2})
    return replace(job, **sets, preprocessing=constants, held={})


def _pooled(images: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(images, 2)


def _matched(job: NetworkJob, seed: int) -> NetworkJob:
    source, valid, target = matched(job.source, job.valid, job.target, seed)
    return replace(job, source=source, valid=valid, target=target, held={})


def row_of(made: Fitted, task: Task, job: NetworkJob, seconds: float, *, coarse: bool = False) -> Row:
    """Return what a trained network says of every part."""
    choice, seen = choose_device("cpu", "float32"), made.candidate
    logits = {"valid": seen.logits_source_val, "target": seen.logits_target}
    for part in ("source_test", "target_test"):
        images = getattr(task, part)[0]
        images = TrainingSet(_pooled(images) if coarse else images, None, ("",) * len(images))
        logits[part] = outputs(made.trained.model, images, job.stretch, choice).logits.numpy()
    features = {"valid": seen.features_source_val, "target": seen.features_target}
    return Row(logits, features, seconds)


def plain_rows(task: Task, seed: int, wanted: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield the baselines, as they stand and with features standardised in each domain."""
    excess = noise_excess(task.source[0], task.target[0])
    lacks = [NoiseMatcher(one, seed) if max(one.sky) > 0 else None for one in (excess, excess.reversed())]
    for name in NO_NETWORK:
        if name not in wanted:
            continue
        started = time.process_time()
        measure = BASELINES.get(name)()
        found = {
            part: measure.features(_noisier(getattr(task, part)[0], lack, part), task.preprocessing)
            for part, lack in (("source", lacks[0]), *((p, lacks[p.startswith("target")]) for p in PARTS))
        }
        for suffix in ("", "-standardised"):
            own = found
            if suffix:
                scales = {p: standardise_by(found[p]) for p in ("source", "target")}
                own = {
                    p: scales["target" if p.startswith("target") else "source"](v) for p, v in found.items()
                }
            predict = measure.learn(own["source"], task.source[1].numpy(), len(task.classes), seed)
            logits = {p: np.log(np.clip(predict(own[p]), 1e-4, 1)) for p in PARTS}
            yield f"{name}{suffix}", Row(logits, {}, time.process_time() - started)


def _noisier(images: torch.Tensor, lack: NoiseMatcher | None, part: str) -> np.ndarray:
    if lack is None:
        return images.numpy()
    ids = tuple(f"{part}{k}" for k in range(len(images)))
    return lack(images, ids, [-1] * len(ids)).numpy()
