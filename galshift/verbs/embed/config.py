"""Options of `embed`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.types import Chosen, Strict
from galshift.verbs._choice import ChoiceOf


class EmbedConfig(Strict):
    """What to map, with which reducer."""

    run: str = Field(description="Run directory.")
    data: list[str] = Field(min_length=1, description="Data sets; name=DATA names one.")
    read: ReadOptions = ReadOptions()
    reduce: Annotated[Chosen, ChoiceOf("galshift.embedding.reducers", "REDUCERS")] = Field(
        "pca", validate_default=True, description="How to draw the features: pca, tsne, isomap or umap."
    )
    limit: int = Field(
        20_000, ge=10, description="At most as many galaxies of each data set, drawn at random."
    )
    thumbnails: int = Field(3000, ge=0, description="Pictures in the explorer; the most unusual come first.")
    shards: int | None = Field(
        None, ge=1, description="Write embedding.parquet, a folder of Parquet files of so many rows each."
    )
    seed: int = 42
