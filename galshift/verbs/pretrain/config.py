"""Options of `pretrain`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from galshift.data.input_config import AugmentConfig, PreprocessConfig
from galshift.data.options import ReadOptions
from galshift.models._vit_config import MaskedConfig, ViTConfig
from galshift.training.config import TrainConfig
from galshift.types import Strict

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
    held_out: float = Field(0.1, gt=0, lt=0.8, description="Fraction of galaxies to evaluate on.")
    preprocess: PreprocessConfig = PreprocessConfig()
    augment: PretrainAugment = PretrainAugment()
    training: PretrainTraining = PretrainTraining()
    seed: int = 42
