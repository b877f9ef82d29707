"""Options of `predict`."""

from __future__ import annotations

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Strict
from galshift.verbs._threshold import Thresholds


class PredictConfig(Strict):
    """What to classify with what."""

    run: str = Field(description="Run directory, or its model.safetensors.")
    data: str = Field(description="Images; labels are passed through where there are any.")
    read: ReadOptions = ReadOptions()
    shards: int | None = Field(
        None, ge=1, description="Write a folder of Parquet files of so many rows each; OUT ends in .parquet."
    )
    threshold: Thresholds = {}
    level: float = Field(
        0.9, gt=0, lt=1, description="Share of true classes that the prediction sets are to hold."
    )
