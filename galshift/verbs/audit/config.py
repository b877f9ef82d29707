"""Options of `audit`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from galshift.data.options import ReadOptions
from galshift.types import Strict


class AuditConfig(Strict):
    """Everything that can change the outcome of an audit."""

    run: str = Field(description="Run whose model is audited.")
    data: str = Field(description="Labelled images.")
    compare: list[str] = Field([], description="Further runs, on the same damaged images.")
    baseline: bool = Field(True, description="Audit the source-only companion of an adapted run too.")
    read: ReadOptions = ReadOptions()
    corruptions: list[str] = Field([], description="Kinds of damage; empty: all.")
    limit: int | None = Field(None, ge=1, description="At most so many images, drawn by the seed.")
    n_bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of galaxies for intervals.")
    seed: int = 42

    @field_validator("compare", "corruptions", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One may be given by itself."""
        return [] if value is None else [value] if isinstance(value, str) else value
