"""Options of `train`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from galshift.data.input_config import AugmentConfig, PreprocessConfig
from galshift.data.options import ReadOptions
from galshift.domains.config import OnTheFly, SplitConfig
from galshift.training.config import TrainConfig
from galshift.types import Chosen
from galshift.verbs._choice import ChoiceOf
from galshift.verbs._settings import WithSettings


class TrainStepConfig(WithSettings):
    """Everything that can change a trained classifier."""

    data: str = Field(description="Labelled images.")
    read: ReadOptions = ReadOptions()
    observe: OnTheFly | None = Field(
        None, description="Observe the galaxies as this survey, anew at every draw."
    )
    model: Annotated[Chosen, ChoiceOf("galshift.models", "MODELS", path="encoder")] = Field(
        "deepmerge", description="Network; see galshift list models."
    )
    init: str | None = Field(None, description="Start from the weights of another run.")
    split: SplitConfig = SplitConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainConfig = TrainConfig()
    seed: int = 42
