"""Options of `figures`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from galshift.types import Strict


class FiguresConfig(Strict):
    """Which run's figures, and how they are drawn."""

    run: str = Field(description="A finished run with a report.")
    format: Literal["pdf", "svg", "png"] = Field("pdf", description="Of the figures; fonts are in the file.")
    width: Literal["column", "page"] = Field("column", description="88 or 180 mm.")
    style: str | None = Field(
        None, description="A matplotlib style by name or file, on top of your matplotlibrc."
    )
