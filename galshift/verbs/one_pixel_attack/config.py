"""Options of `one-pixel-attack`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from galshift.audit.config import AttackConfig, Detector, EventRate
from galshift.data.options import ReadOptions
from galshift.types import Chosen
from galshift.verbs._choice import ChoiceOf


class OnePixelAttackConfig(AttackConfig):
    """Everything that can change the outcome of an attack."""

    run: str = Field(description="Run whose model is attacked.")
    data: str = Field(description="Labelled images.")
    compare: list[str] = Field([], description="Further runs, attacked on the same images.")
    read: ReadOptions = ReadOptions()
    fault: Annotated[Chosen, ChoiceOf("galshift.audit.faults", "FAULTS")] = Field(
        "rgb", description="What strikes; see galshift list faults."
    )
    survey: str | None = Field(None, description="Preset that knows the electrons of one nJy.")
    detector: Detector = Detector()
    rate: EventRate = Field(EventRate(), description="How often the fault strikes (cosmic, or as stated).")
    target: str | None = Field(None, description="Class to reach; any other than the true one when absent.")
    limit: int | None = Field(None, ge=1, description="Attack at most so many images, drawn by the seed.")
    gallery: int = Field(6, ge=0, description="Images shown in the report, as many that flip as hold out.")
    save_images: bool = Field(False, description="Keep every image before and after in attack.fits.")

    @field_validator("compare", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """One run may be given by itself."""
        return [] if value is None else [value] if isinstance(value, str) else value
