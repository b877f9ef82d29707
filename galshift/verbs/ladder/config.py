"""Options of `ladder`."""

from __future__ import annotations

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Strict


class LadderConfig(Strict):
    """What is made real, step by step, and what it is compared with."""

    sim: str = Field(description="Idealised images in a physical unit with a pixel scale.")
    real: str = Field(description="Images of the survey.")
    survey: str = Field(description="The preset of the survey that took the real ones.")
    model: str | None = Field(None, description="Run in whose features the sets are compared as well.")
    sky: str | None = Field(None, description="Blank-sky cut-outs of the survey, as the last step.")
    band_map: dict[str, str] = Field(default_factory=dict, description="Survey band by input band.")
    read: ReadOptions = Field(ReadOptions(), description="How to read the simulated images.")
    read_real: ReadOptions = Field(ReadOptions(), description="How to read the real ones.")
    limit: int = Field(200, ge=20, le=5000, description="At most as many galaxies of either set.")
    n_permutations: int = Field(200, ge=0, le=100_000, description="Relabellings for the MMD's p-value.")
    samples: int = Field(8, ge=0, le=40, description="Galaxies shown on every rung.")
    seed: int = 42
