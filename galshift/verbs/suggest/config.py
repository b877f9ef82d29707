"""Options of `suggest`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Strict

LABEL = "label"  # the column to fill in, where galaxies have one class each


class SuggestConfig(Strict):
    """How many labels can be had, and what for."""

    run: str = Field(description="Run whose classifier the labels are for.")
    data: str = Field(description="Images to choose from; name=DATA names it.")
    budget: int = Field(ge=1, le=5000, description="How many galaxies can be labelled.")
    aim: Literal["improve", "measure"] = Field(
        "improve", description="Labels to train on, or to measure the accuracy with."
    )
    strata: Literal["none", "answers"] = Field(
        "none",
        description="To measure: draw from all alike, or as many again from the galaxies of each answer, for "
        "a count of rare classes.",
    )
    limit: int = Field(100_000, ge=10, description="At most as many images, drawn at random.")
    pictures: int = Field(60, ge=0, le=1000, description="Images shown in the report.")
    read: ReadOptions = ReadOptions()
    seed: int = 42
