"""Options of `count`."""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field, model_validator

from galshift.data.options import ReadOptions
from galshift.types import Strict


class CountConfig(Strict):
    """What is counted, with what, and in which bins."""

    run: str = Field(description="Run whose classifier counts.")
    data: str = Field(description="Images to count; name=DATA names it.")
    by: str | None = Field(None, description="Count in bins of this column of the data set's catalogue.")
    bins: list[float] = Field(
        [], description="Edges of those bins, such as 15,17,19; default: four with as many galaxies each."
    )
    read: ReadOptions = ReadOptions()
    n_bootstrap: int = Field(
        300, ge=50, le=10_000, description="Resamples of galaxies, and simulated tests, without labels."
    )
    seed: int = 42

    @model_validator(mode="after")
    def _check(self) -> CountConfig:
        if self.bins and self.by is None:
            raise ValueError("bins are of a column: say which with by (--by COLUMN)")
        if len(self.bins) == 1 or any(b <= a for a, b in pairwise(self.bins)):
            raise ValueError("edges of bins must be at least two and rise, such as 15,17,19")
        return self
