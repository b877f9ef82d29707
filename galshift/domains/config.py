"""Options of how a domain is split and observed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from galshift import surveys
from galshift.types import Strict

#: What of the target's look the source is given.
MatchedLook = Literal["seeing", "colours", "both"]


class SplitConfig(Strict):
    """How the galaxies of a domain are shared out; a galaxy is never in two parts."""

    valid: float = Field(0.15, gt=0, lt=0.5, description="Fraction of source galaxies that choose the epoch.")
    test: float = Field(0.2, gt=0, lt=0.8, description="Fraction of galaxies that training never sees.")


class OnTheFly(Strict):
    """How the source is observed at every draw; more choices need stored mocks (make-mocks)."""

    survey: str = Field(description="Preset, or a YAML file.")
    noise: Literal["exact", "gaussian", "none"] = "exact"
    seeing: Literal["nominal", "quartiles"] = Field(
        "quartiles", description="quartiles: each draw's FWHM is drawn from the survey's distribution."
    )
    random_phase: bool = Field(True, description="Place the centre at random within a pixel.")
    seed: int = Field(42, description="Of the mocks.")


def survey_version(config: OnTheFly | None) -> dict[str, int]:
    """Return the version of the survey that is observed with, for a step's fingerprint."""
    return {} if config is None else {f"survey {config.survey}": surveys.load(config.survey).version}
