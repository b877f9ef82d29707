"""Options of `explain`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Strict


class ExplainConfig(Strict):
    """Whose decisions are explained, on what."""

    run: str = Field(description="Run directory.")
    data: list[str] = Field(min_length=1, description="Data sets; name=DATA names one.")
    read: ReadOptions = ReadOptions()
    explain: Literal["predicted", "true"] = Field(
        "predicted", description="Which class's evidence is drawn: the answer's, or the label's."
    )
    layer: str | None = Field(None, description="Layer to read; default the last of at least 7 x 7 pixels.")
    limit: int = Field(300, ge=1, description="At most as many images of each data set, drawn at random.")
    samples: int = Field(16, ge=0, le=200, description="Images of each data set in the report.")
    seed: int = 42
