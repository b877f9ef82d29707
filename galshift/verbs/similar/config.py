"""Options of `similar`."""

from __future__ import annotations

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Strict


class SimilarConfig(Strict):
    """Which galaxy, and where to search for others like it."""

    run: str = Field(description="Run whose features are compared.")
    data: str = Field(description="The data set that holds the galaxy; name=DATA names it.")
    id: str = Field(description="The image's name.")
    among: list[str] = Field([], description="Data sets to search; empty: the galaxy's own.")
    n: int = Field(24, ge=1, le=1000, description="How many galaxies.")
    limit: int = Field(50_000, ge=10, description="At most as many images of each data set, drawn at random.")
    read: ReadOptions = ReadOptions()
    seed: int = 42
