"""Options of `gap`."""

from __future__ import annotations

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Strict


class GapConfig(Strict):
    """Which two data sets are compared, and how many of their galaxies."""

    a: str = Field(description="One data set; name=DATA names it.")
    b: str = Field(description="The other.")
    model: str | None = Field(None, description="Run in whose features the two are compared as well.")
    read: ReadOptions = ReadOptions()
    limit: int = Field(500, ge=20, description="At most as many galaxies of either set, drawn at random.")
    n_permutations: int = Field(1000, ge=0, le=100_000, description="Relabellings for the MMD's p-value.")
    samples: int = Field(10, ge=0, le=100, description="Images of each set in the report.")
    seed: int = 42
