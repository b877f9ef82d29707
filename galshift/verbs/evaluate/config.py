"""Options of `evaluate`."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from galshift.data.options import ReadOptions
from galshift.types import Strict
from galshift.verbs._threshold import Thresholds


class EvaluateConfig(Strict):
    """What to evaluate, and on what."""

    runs: list[str] = Field(min_length=1, description="Run directories; name=RUN names one in the report.")
    on: list[str] = Field([], description="Data sets; empty: each run's held-out source and target images.")
    read: ReadOptions = Field(ReadOptions(), description="How to read them, or the held-out target.")
    baseline: bool = Field(True, description="Evaluate the source-only companion of an adapted run too.")
    baselines: bool = Field(
        False, description="Compare with classifiers without a network, on the first run's own splits."
    )
    n_bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of galaxies for intervals.")
    n_permutations: int = Field(1000, ge=0, le=100_000, description="Relabellings for the MMD's p-value.")
    samples: int = Field(24, ge=0, le=500, description="Images shown in the report.")
    threshold: Thresholds = {}
    seed: int = 42

    @field_validator("baselines")
    @classmethod
    def _on_own_splits(cls, wanted: bool, info: ValidationInfo) -> bool:
        if wanted and info.data.get("on"):
            raise ValueError("only on images that a run set aside: leave out --on, or --baselines")
        return wanted
