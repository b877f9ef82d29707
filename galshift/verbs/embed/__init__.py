"""Map galaxies in a classifier's feature space, with pictures and the odd ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.embedding.reducers import REDUCERS
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import reading
from galshift.verbs.embed.config import EmbedConfig


@STEPS.register("embed")
class Embed(Step):
    """Map galaxies by the features that a classifier decides on.

    Writes embedding.fits (predictions, anomaly scores, x, y) and explorer.html, one file that works offline:
    hover for pictures, colour by any column, lasso, export.  pca is linear and quick; tsne and umap show
    neighbourhoods; whether data sets mix is measured in feature space, never on the map.
    """

    kind = "embed"
    version = 1
    Config = EmbedConfig
    positionals = ("run", "data")
    options = ("reduce", "limit", "shards", *reading("read"))
    examples = (
        "galshift embed runs/adapt-1a2b3c4d sim.h5 sdss/",
        "galshift embed runs/adapt-1a2b3c4d sim.h5 wide=sdss/ --reduce tsne",
    )
    inputs = ("run", "data", "read.labels?", "read.psf?", "read.weights?")
    display = ("thumbnails",)
    newer = ("shards",)
    resources = ("device", "workers", "scheduler")

    def run(self, config: EmbedConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Forward, reduce, score, draw."""
        from galshift.verbs.embed.work import work

        return work(config, run, context.device, context.engine)

    def versions(self, config: EmbedConfig) -> Mapping[str, int]:
        """Return the version of the reducer."""
        return {f"reducer {config.reduce.kind}": REDUCERS.get(config.reduce.kind).version}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the explorer says at its top."""
        from galshift.verbs.embed.report import opening_sentences

        return opening_sentences(results)
