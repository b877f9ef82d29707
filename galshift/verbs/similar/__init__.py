"""Find the galaxies most like one galaxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs.similar.config import SimilarConfig


@STEPS.register("similar")
class Similar(Step):
    """Write ``similar.fits`` and ``report.html``."""

    kind = "similar"
    version = 1
    Config = SimilarConfig
    inputs = ("run", "data", "among", "read.labels?")

    def run(self, config: SimilarConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Forward, search, draw."""
        from galshift.verbs.similar.work import work

        return work(config, run, context.device)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how unusual it is and which class the others are given."""
        from galshift.verbs.similar.report import opening_sentences

        return opening_sentences(results)
