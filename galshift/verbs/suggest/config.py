"""Options of `suggest`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from galshift.data.options import ReadOptions
from galshift.types import Strict

MOST = 5000  # galaxies that one suggestion may hold
LABEL = "label"  # the column to fill in, where galaxies have one class each


class SuggestConfig(Strict):
    """How many labels can be had, and what for."""

    run: str = Field(description="Run whose classifier the labels are for.")
    data: str = Field(description="Images to choose from; name=DATA names it.")
    budget: int | float = Field(
        gt=0, description="How many galaxies can be labelled; with --cost what they may cost in all."
    )
    cost: str | None = Field(
        None,
        description="Column of the data set's catalogue: what a galaxy's label costs, in the budget's unit.",
    )
    by: Literal["mix", "uncertainty", "diversity", "random"] = Field(
        "mix",
        description="To improve: galaxies that the classifier is unsure of, that are unlike all labelled "
        "ones, both, or drawn at random.",
    )
    batch: int | float | None = Field(
        None,
        gt=0,
        description="Number the galaxies in batches of so many, or of such a cost, to be labelled in turn.",
    )
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

    @field_validator("budget", "batch", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """A whole number stays one, however it was typed, so that it names the same run."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @model_validator(mode="after")
    def _fits(self) -> SuggestConfig:
        if self.cost is None and (not isinstance(self.budget, int) or self.budget > MOST):
            raise ValueError(f"budget counts galaxies, 1 to {MOST}, unless --cost names what they cost")
        if self.aim == "measure" and (self.cost is not None or self.by not in ("mix", "random")):
            raise ValueError(
                "a sample to measure with is drawn at random, whatever a galaxy costs: leave --cost and --by "
                "out"
            )
        return self
