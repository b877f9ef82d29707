"""Pre-train a vision transformer on unlabelled images of several surveys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from galshift.data.augment import AugmentConfig
from galshift.data.options import ReadOptions
from galshift.data.preprocess import PreprocessConfig
from galshift.models._mae import MaskedConfig
from galshift.models.vit import ViTConfig
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.training.config import NO_NUMBERS, TrainConfig
from galshift.types import Strict

if TYPE_CHECKING:
    from galshift.recipes.steps._pretraining import Unlabelled

METHOD = "masked-autoencoder"


class PretrainTraining(TrainConfig):
    """As for every training, with He et al. 2022's habits: long, a high rate, and the last epoch counts."""

    epochs: int = Field(100, ge=1, description="In all.")
    lr: float = Field(1.5e-3, gt=0, description="Highest learning rate.")
    weight_decay: float = Field(0.05, ge=0, description="Of weights; never of biases or norms.")
    lr_ramp: float = Field(0.1, ge=0, lt=1, description="Fraction of all steps with a rising learning rate.")
    patience: int | None = Field(None, ge=1, description="Has no meaning here: the last epoch counts.")
    select: Literal["last"] = Field("last", description="What chooses the epoch.")


class PretrainAugment(AugmentConfig):
    """Turns, flips and shifts alone: noise would have to be guessed patch by patch."""

    flux_jitter: float = Field(0.0, ge=0)
    noise: tuple[float, float] = (0.0, 0.0)


class PretrainConfig(Strict):
    """Everything that can change a pre-trained encoder."""

    data: list[str] = Field(min_length=1, description="Images; labels, if any, are not used.")
    read: ReadOptions = Field(ReadOptions(), description="How to read them all.")
    model: ViTConfig = Field(ViTConfig(), description="Options of the transformer.")
    masked: MaskedConfig = MaskedConfig()
    held_out: float = Field(0.1, gt=0, lt=0.8, description="Fraction of galaxies to judge by.")
    preprocess: PreprocessConfig = PreprocessConfig()
    augment: PretrainAugment = PretrainAugment()
    training: PretrainTraining = PretrainTraining()
    seed: int = 42


@STEPS.register("pretrain")
class Pretrain(Step):
    """Hide patches of images, learn to fill them in, and keep the encoder for others to start from."""

    kind = "pretrain"
    version = 1
    Config = PretrainConfig
    inputs = ("data",)
    display = NO_NUMBERS
    resumable = True
    distributed = True

    def run(self, config: PretrainConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``model.safetensors``, the encoder with an untrained head, and ``metrics.jsonl``."""
        from galshift.recipes.steps._fitting import trained_before
        from galshift.recipes.steps._pretraining import gather
        from galshift.training.checkpoint import FILE

        images = gather(config.data, config.read, config.held_out, config.preprocess, config.seed)
        summary = trained_before(run.path)
        if summary is None:
            summary = _fit(config, images, run.path, context.device)
        return {
            "model": "vit",
            "method": METHOD,
            "n_train": len(images.train),
            "n_held_out": len(images.test),
            "bands": list(images.preprocessing.bands),
            "size": images.preprocessing.size,
            "fit": summary,
            "outputs": {"model": FILE},
        }

    def versions(self, config: PretrainConfig) -> Mapping[str, int]:
        """Return the version of the network."""
        from galshift.models import MODELS

        return {"model vit": MODELS.get("vit").version}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how well hidden patches are filled in."""
        fit = results["fit"]
        return [
            f"pre-trained on {results['n_train']} images without labels, {fit['epochs']} epochs",
            f"error on hidden patches of {results['n_held_out']} images never trained on: "
            f"{fit['held_out_error']:.3f} (1 is what each patch's mean would give)",
            *fit["notes"],
        ]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Train or adapt from it."""
        run = results["run"]
        return [f"galshift train DATA --init {run}", f"galshift adapt SOURCE TARGET --init {run}"]


def _fit(config: PretrainConfig, images: Unlabelled, directory: Path, device: str) -> dict[str, Any]:
    """Train, judge on held-out galaxies, and keep the encoder."""
    import torch

    from galshift.models._mae import MaskedLearner
    from galshift.models.build import build_model
    from galshift.recipes.steps._fitting import augmenter
    from galshift.recipes.steps._pretraining import Masked, reconstruction_error
    from galshift.training.checkpoint import ENCODER, save_checkpoint
    from galshift.training.device import choose_device
    from galshift.training.loop import clear, fit

    p, choice = images.preprocessing, choose_device(device, config.training.precision)
    encoder = build_model(
        "vit",
        in_channels=len(p.bands),
        size=p.size,
        n_classes=1,
        options=config.model.model_dump(mode="json"),
        seed=config.seed,
    )
    result = fit(
        MaskedLearner(encoder, config.masked, config.seed),
        Masked(),
        None,
        None,
        images.train,
        config.training,
        directory=directory,
        seed=config.seed,
        device=choice,
        augment=augmenter(config.augment, torch.tensor(p.sky_sigma)),
        stretch=p.stretch,
        progress="pretrain",
    )
    directory.mkdir(parents=True, exist_ok=True)
    error = reconstruction_error(result.model, images.test, p.stretch, choice.device)
    kept = {"epochs": len(result.history), "held_out_error": error, "notes": list(result.notes)}
    save_checkpoint(
        directory,
        result.model.autoencoder.encoder,
        preprocessing=p.model_dump(mode="json"),
        classes=(),
        bands=p.bands,
        meta={"method": METHOD, ENCODER: True, "seed": config.seed, "fit": kept},
    )
    clear(directory)
    return kept
