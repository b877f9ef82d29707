"""The options of a training run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from galshift.errors import did_you_mean
from galshift.selection import SELECTORS
from galshift.types import Grown

# What chooses an epoch without a selector; auto is one where there is a target.
PLAIN_SELECTION = ("auto", "source-loss", "source-accuracy", "total-loss", "last")

# Options that came later, and the values at which they change nothing.
NEWER = {
    "tune": "all",
    "layer_decay": 1.0,
    "cached_views": 4,
    "betas": (0.9, 0.999),
    "lr_milestones": (),
    "lr_decay": 0.1,
    "lr_cycle": 5,
    "clip_of": "all",
    "decay_of": "weights",
    "target_label_weight": 1.0,
}

# Where a step's config holds what cannot change a number: how often to save, where else to log.
NO_NUMBERS = ("training.checkpoint_every_s", "training.track")


class TrainConfig(Grown):
    """How a network is trained; what is trained on what is decided elsewhere."""

    newer: ClassVar[Mapping[str, Any]] = NEWER

    epochs: int = Field(30, ge=1, description="In all, the warm-up included.")
    warmup_epochs: int | None = Field(
        None,
        ge=0,
        description="First epochs, on the source alone, of methods that use the target; default: a fifth.",
    )
    batch_size: int = Field(
        32, ge=2, description="Images per step and domain, over all devices; more steps serve small sets."
    )
    steps_per_epoch: int | None = Field(
        None, ge=1, description="Default: as many as show every source image once."
    )
    optimiser: Literal["adamw", "adam", "sgd"] = Field(
        "adamw", description="adamw decays weights beside the gradient, adam and sgd as a part of it."
    )
    lr: float = Field(1e-3, gt=0, description="Highest learning rate.")
    weight_decay: float = Field(
        1e-2, ge=0, description="Of weights; not of biases, norms or a method's scalars."
    )
    decay_of: Literal["weights", "all"] = Field(
        "weights", description="all: biases, norms and a method's scalars decay too."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Of SGD (Nesterov).")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.999), description="Decay of Adam's running means of the gradient and of its square."
    )
    schedule: Literal["cosine", "constant", "step", "inverse", "cycle"] = Field(
        "cosine",
        description="step: times lr_decay after each of lr_milestones; inverse: (1 + 10 p)^-0.75 of the "
        "progress p; cycle: up from a tenth and down again, again and again.",
    )
    lr_milestones: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Epochs after which the schedule 'step' lowers the learning rate."
    )
    lr_decay: float = Field(0.1, gt=0, le=1, description="Factor of each step of the schedule 'step'.")
    lr_cycle: float = Field(5, gt=0, description="Epochs of one rise and fall of the schedule 'cycle'.")
    lr_ramp: float = Field(0.05, ge=0, lt=1, description="Fraction of all steps with a rising learning rate.")
    lr_final: float = Field(0.01, ge=0, le=1, description="Last learning rate as a fraction of the highest.")
    clip: float | None = Field(10.0, gt=0, description="Largest gradient norm; null for no limit.")
    clip_of: Literal["all", "network"] = Field(
        "all", description="network: the norm is of the network, and a method's own parameters go free."
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of the running mean of weights, such as 0.999."
    )
    class_weights: Literal["auto", "none", "balanced", "effective"] | tuple[float, ...] = Field(
        "auto",
        description="balanced: N / (K n_k); effective: by the effective number of images; auto: balanced "
        "where the largest class has twice the images of the smallest; or one weight per class.",
    )
    target_label_weight: float = Field(
        1.0,
        ge=0,
        description="Weight of the loss on the target's labelled images, where some are given; the source's "
        "has 1.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    focal: float = Field(0.0, ge=0, description="Exponent of the focal loss; 0 is cross-entropy.")
    patience: int | None = Field(
        10, ge=1, description="Epochs without improvement before stopping; null: never."
    )
    select: str = Field(
        "auto",
        description="What chooses the best epoch: source-loss, source-accuracy (of classes), total-loss "
        "(with the method's terms), last, or a label-free selector; auto: source-loss where "
        "only the source is seen, else the default selector.",
    )
    select_limit: int = Field(
        2000, ge=10, description="At most so many target images are scored after an epoch."
    )
    checkpoint_every_s: float = Field(300.0, gt=0, description="Most time [s] that a kill costs.")
    track: tuple[Literal["tensorboard", "mlflow"], ...] = Field(
        (), description="Loggers beside metrics.jsonl; they need the extra 'tracking'."
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="CPU threads; default: 1 for a small network. galshift doctor --threads measures.",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = Field(False, description="torch.compile the network: slow start, then faster on a GPU.")
    channels_last: bool | None = Field(None, description="Memory layout of images; default: on a GPU.")
    accumulate: int = Field(
        1, ge=1, description="Micro-batches per step; adaptation losses see one at a time."
    )
    shard: bool = Field(
        False, description="Split a large network over the devices (FSDP2) instead of copying it."
    )
    tune: str = Field(
        "all",
        description="What is trained of a pre-trained network: head, last-N layers, or all; what is not "
        "rests, and batch-norm statistics with it.",
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Learning rate of a layer as a fraction of the next one's.",
    )

    cached_views: int = Field(
        4,
        ge=0,
        le=64,
        description="With tune: head, augmented views of each image whose features are computed once; "
        "0: a new view at every step.",
    )

    @field_validator("tune")
    @classmethod
    def _tunes(cls, tune: str) -> str:
        if not re.fullmatch(r"head|all|last-[1-9]\d*", tune):
            raise ValueError(f"must be head, last-N (such as last-2) or all, not {tune!r}")
        return tune

    @field_validator("select")
    @classmethod
    def _known(cls, name: str) -> str:
        known = [*PLAIN_SELECTION, *SELECTORS.names()]
        if name not in known:
            raise ValueError(f"unknown selector '{name}' ({did_you_mean(name, known)})")
        return name

    @model_validator(mode="after")
    def _fits(self) -> TrainConfig:
        if self.batch_size < 2 * self.accumulate:
            raise ValueError("batch_size must be at least twice accumulate: batch statistics need two images")
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be less than epochs ({self.epochs})")
        if self.schedule == "step" and not self.lr_milestones:
            raise ValueError("the schedule 'step' needs lr_milestones, such as [25, 40]")
        return self

    @property
    def warmup(self) -> int:
        """The number of warm-up epochs of an adaptation."""
        return min(self.epochs // 5, 10) if self.warmup_epochs is None else self.warmup_epochs
