"""Options of `adapt`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from galshift.data.input_config import AugmentConfig, PreprocessConfig
from galshift.data.options import ReadOptions
from galshift.domains.config import MatchedLook, OnTheFly, SplitConfig
from galshift.errors import ConfigError, did_you_mean
from galshift.methods import METHODS
from galshift.rundirectory import AUTO, BASELINE
from galshift.selection import DEFAULT, SELECTORS
from galshift.training.config import TrainConfig
from galshift.types import Chosen, Strict
from galshift.verbs._choice import ChoiceOf
from galshift.verbs._settings import WithSettings

#: Of the rules by which auto chooses.
CHOICE_VERSION = 2
#: What auto tries on the frozen features of an encoder that is named, beside a linear probe.
ON_FEATURES = ("standardise", "pseudo-labels")


class AutoConfig(Strict):
    """Try several methods at their defaults and choose without target labels; source-only always competes."""

    methods: tuple[str, ...] = Field(("adabn", "sinkhorn"), min_length=1, description="What is tried.")

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in METHODS.names():
                raise ValueError(f"unknown method '{name}' ({did_you_mean(name, METHODS.names())})")
        return tuple(dict.fromkeys(name for name in names if name != BASELINE))


class PairAugmentConfig(AugmentConfig):
    """Augmentation of both domains; noise in units of the noisier domain's sky."""

    noise: tuple[float, float] = (0.0, 1.0)


class AdaptStepConfig(WithSettings):
    """Everything that can change an adapted classifier."""

    source: str = Field(description="Labelled images.")
    target: str = Field(
        description="Images of the survey to adapt to; their labels, if any, serve evaluation alone."
    )
    read: ReadOptions = Field(ReadOptions(), description="How to read the source.")
    read_target: ReadOptions = Field(ReadOptions(), description="How to read the target.")
    target_labels: str | None = Field(
        None,
        description="Table (id, label) of a few galaxies of the target, to learn too.",
    )
    earlier: tuple[str, ...] = Field((), description="Runs with fewer labels, for a learning curve.")
    observe: OnTheFly | None = Field(
        None, description="Observe the source as this survey, anew at every draw."
    )
    method: Annotated[Chosen, ChoiceOf("galshift.methods", "METHODS", ((AUTO, AutoConfig),))] = Field(
        AUTO, description="See galshift list methods; auto tries several and chooses without target labels."
    )
    model: Annotated[Chosen, ChoiceOf("galshift.models", "MODELS", path="encoder")] = Field(
        "deepmerge", description="Network; see galshift list models."
    )
    encoder: Annotated[Chosen, ChoiceOf("galshift.models", "MODELS", path="encoder")] | None = Field(
        None, description="A pre-trained encoder whose frozen features auto tries too: a second family."
    )
    init: str | None = Field(None, description="Start from the weights of another run.")
    split: SplitConfig = SplitConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    augment: PairAugmentConfig = Field(PairAugmentConfig(), description="The same for both networks.")
    match_noise: bool | None = Field(
        None,
        description="Bring one domain's noise up to the other's, as measured in the images of both; "
        "default: where the method needs it.",
    )
    match_look: MatchedLook | None = Field(
        None,
        description="Bring the source's seeing to the target's where both PSFs are known and the target's is "
        "wider, or its colours as measured in the images (they must hold the same mix of classes), or both. "
        "The source's own test images are evaluated as they are.",
    )
    training: TrainConfig = TrainConfig()
    seeds: int = Field(1, ge=1, le=20, description="Repeat with so many seeds, for a mean and an interval.")
    baselines: bool = Field(
        True, description="Compare with classifiers without a network, on the same splits."
    )
    samples: int = Field(24, ge=0, le=500, description="Images shown in the report.")
    seed: int = 42


def wants_matching(config: AdaptStepConfig) -> bool:
    """Return whether noise is to be matched: as told, else where the method needs it.

    Raises
    ------
    ConfigError
        When it is asked for beside an observation, which has the survey's noise already.
    """
    if config.observe is not None:
        for name in ("match_noise", "match_look"):
            if getattr(config, name):
                raise ConfigError(
                    "the source is observed as the survey already, noise and all",
                    where=name,
                    hint=f"leave out either observe or {name}",
                )
        return False
    if config.match_noise is not None:
        return config.match_noise
    return config.method.kind != AUTO and METHODS.get(config.method.kind).matched


def chooser(select: str) -> str:
    """Return what chooses between methods, given what chooses epochs: the selector named there, or ours."""
    return select if select in SELECTORS.names() else DEFAULT
