"""Options of `depth`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Strict

Factor = Annotated[float, Field(gt=0, le=1e4)]


class DepthConfig(Strict):
    """Which classifier, on which galaxies, at which depths."""

    run: str = Field(description="Run directory.")
    sim: str = Field(description="Labelled images, noise-free or much deeper than the survey.")
    survey: str = Field(description="A family of presets (lsst), or one preset, exposed shorter and longer.")
    times: list[Factor] = Field(
        [0.03, 0.1, 0.3, 1, 3, 10], min_length=2, description="Exposures in those of the one preset."
    )
    limit: int = Field(300, ge=20, le=20_000, description="At most as many galaxies.")
    band_map: dict[str, str] = Field(default_factory=dict, description="Survey band by input band.")
    read: ReadOptions = ReadOptions()
    n_bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of galaxies for intervals.")
    samples: int = Field(6, ge=0, le=40, description="Galaxies shown at every depth in the report.")
    seed: int = 42
