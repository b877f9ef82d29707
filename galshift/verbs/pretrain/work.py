"""Masked pre-training on unlabelled images of several surveys, brought to one frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galshift.data.cutouts import Cutouts, InMemory
from galshift.data.options import ReadOptions
from galshift.data.paths import split_name
from galshift.data.preprocess import FIT_IMAGES, PreprocessConfig, Preprocessing, fit_preprocessing
from galshift.domains.config import SplitConfig
from galshift.domains.domain import Domain, open_target, teaches_classes
from galshift.domains.frame import common_frame
from galshift.domains.training_set import training_set
from galshift.errors import DataError
from galshift.methods._base import Method
from galshift.models._mae import MaskedLearner
from galshift.models.build import build_model
from galshift.training.checkpoint import ENCODER, FILE, save_checkpoint
from galshift.training.heads import ClassHead
from galshift.training.job import TrainingJob
from galshift.training.loop import fit
from galshift.training.sets import Stretch, TrainingSet
from galshift.training.state import clear
from galshift.training.train_network import Augmenter, trained_before
from galshift.types import Batch
from galshift.verbs.pretrain.config import METHOD, PretrainConfig


class Masked(Method):
    """Minimise what :class:`galshift.models._mae.MaskedLearner` returns for logits: each image's error."""

    needs_source = False
    aim = "pre-train"

    def trainable(self, model: nn.Module) -> Iterable[nn.Parameter]:
        """Return all but the classifier's head, which takes no part."""
        head = {id(parameter) for parameter in model.autoencoder.encoder.head.parameters()}
        return (parameter for parameter in model.parameters() if id(parameter) not in head)

    def losses(self, source: Batch | None, target: Batch | None, progress: float) -> dict[str, Tensor]:
        """Return the mean squared error on hidden patches."""
        return {"reconstruction": target.logits.mean()}


@dataclass(frozen=True)
class Unlabelled:
    """The images of one pre-training.

    Attributes
    ----------
    train, test : TrainingSet
        Of all data sets; a galaxy that the first one shows is in the same part in every other.
    preprocessing : Preprocessing
        Without classes.
    labelled : tuple of int
        Which of the data sets, from 0, have labels that a classifier could be trained on next.
    """

    train: TrainingSet
    test: TrainingSet
    preprocessing: Preprocessing
    labelled: tuple[int, ...] = ()


def gather(
    paths: Sequence[str], read: ReadOptions, held_out: float, config: PreprocessConfig, seed: int
) -> Unlabelled:
    """Open every data set, fit one preprocessing to an even sample of all, and return their images.

    Raises
    ------
    DataError
        When the data sets cannot be brought to common bands, unit and pixel scale.
    """
    split = SplitConfig(test=held_out)
    domains: dict[str, Domain] = {}
    for _, path in map(split_name, paths):
        first = next(iter(domains.values()), None)
        domains[path] = open_target(path, read, split, seed, first)
    preprocessing = _fitted(domains, config, seed)
    sets = {
        part: joined([training_set(domain, part, preprocessing) for domain in domains.values()])
        for part in ("train", "test")
    }
    infos = [domain.info if domain.labelled is None else domain.labelled.info for domain in domains.values()]
    labelled = tuple(number for number, info in enumerate(infos) if teaches_classes(info))
    return Unlabelled(sets["train"], sets["test"], preprocessing, labelled)


def _fitted(domains: dict[str, Domain], config: PreprocessConfig, seed: int) -> Preprocessing:
    """Constants from equally many images of each data set, in the frame that all can be brought to."""
    frame = common_frame(config, *(domain.info for domain in domains.values()))
    first, *_ = domains.values()
    common = fit_preprocessing(first.dataset, first.parts["train"][:1], frame, seed)
    images = []
    for path, domain in domains.items():
        common.check(domain.info, path)
        rows = domain.parts["train"]
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), FIT_IMAGES // len(domains))).astype(int)]
        images += [
            common.linear(domain.dataset.read(part)) for part in np.array_split(rows, -(-len(rows) // 128))
        ]
    pooled = Cutouts(
        np.concatenate(images),
        unit=common.unit,
        pixel_scale=common.pixel_scale_arcsec,
        bands=tuple(common.bands),
    )
    return fit_preprocessing(
        InMemory(pooled), None, frame.model_copy(update={"size": common.size, "bands": common.bands}), seed
    )


def joined(sets: Sequence[TrainingSet]) -> TrainingSet:
    """Return several unlabelled sets as one, in memory where all of them are."""
    ids = tuple(name for one in sets for name in one.ids)
    if all(isinstance(one.images, Tensor) for one in sets):
        return TrainingSet(torch.cat([one.images for one in sets]), ids=ids)
    return TrainingSet(Joined(sets), ids=ids)


class Joined:
    """Several sets fetched as one."""

    def __init__(self, sets: Sequence[TrainingSet]) -> None:
        self.sets = tuple(sets)
        self.starts = np.cumsum([0, *(len(one) for one in sets)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def fetch(self, indices: Tensor) -> Tensor:
        """Return the images (n, C, S, S) at `indices` (n,), in that order.

        Raises
        ------
        DataError
            When none are asked for.
        """
        places = np.asarray(indices)
        owner = np.searchsorted(self.starts, places, side="right") - 1
        out: Tensor | None = None
        for number in np.unique(owner):
            mine = torch.from_numpy(np.flatnonzero(owner == number))
            images = self.sets[number].take(torch.from_numpy(places[mine.numpy()] - self.starts[number]))
            out = torch.empty((len(places), *images.shape[1:])) if out is None else out
            out[mine] = images
        if out is None:
            raise DataError("no images were asked for")
        return out


@torch.no_grad()
def reconstruction_error(
    learner: MaskedLearner, images: TrainingSet, stretch: Stretch, device: torch.device
) -> float:
    """Return the mean error on hidden patches of `images`; 1 is what every patch's mean would give."""
    learner.eval()
    generator, total = torch.Generator().manual_seed(0), 0.0
    for rows in images.chunks(128):
        batch = stretch(images.take(rows).to(device))
        total += float(learner.autoencoder(batch, generator).errors.double().sum())
    return total / len(images)


def work(config: PretrainConfig, folder: Path, device: str) -> dict[str, Any]:
    """Pre-train an encoder into `folder` and return the headline results.

    Raises
    ------
    DataError
        When the data sets cannot be brought to one frame.
    """
    images = gather(config.data, config.read, config.held_out, config.preprocess, config.seed)
    summary = trained_before(folder)
    if summary is None:
        summary = _fitted_encoder(config, images, folder, device)
    return {
        "model": "vit",
        "method": METHOD,
        "n_train": len(images.train),
        "n_held_out": len(images.test),
        "labelled": list(images.labelled),
        "bands": list(images.preprocessing.bands),
        "size": images.preprocessing.size,
        "fit": summary,
        "outputs": {"model": FILE},
    }


def _fitted_encoder(
    config: PretrainConfig, images: Unlabelled, directory: Path, device: str
) -> dict[str, Any]:
    """Train, measure the error on held-out galaxies, and write the encoder."""
    p = images.preprocessing
    encoder = build_model(
        "vit",
        in_channels=len(p.bands),
        size=p.size,
        n_classes=1,
        options=config.model.model_dump(mode="json"),
        seed=config.seed,
    )
    job = TrainingJob(
        source=None,
        valid=None,
        target=images.train,
        training=config.training,
        head=ClassHead(("unlabelled",)),
        device=device,
        augment=Augmenter(config.augment, torch.tensor(p.sky_sigma)),
        stretch=p.stretch,
    )
    learner = MaskedLearner(encoder, config.masked, config.seed)
    result = fit(learner, Masked(), job, directory=directory, seed=config.seed, progress="pretrain")
    directory.mkdir(parents=True, exist_ok=True)
    error = reconstruction_error(result.model, images.test, p.stretch, job.choice.device)
    summary = {"epochs": len(result.history), "held_out_error": error, "notes": list(result.notes)}
    save_checkpoint(
        directory,
        result.model.autoencoder.encoder,
        preprocessing=p.model_dump(mode="json"),
        classes=(),
        bands=p.bands,
        meta={"method": METHOD, ENCODER: True, "seed": config.seed, "fit": summary},
    )
    clear(directory)
    return summary
