"""Show where a classifier looks, with scores that say whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.explain.config import ExplainConfig


@STEPS.register("explain")
class Explain(Step):
    """Show where a classifier looks, with scores that say whether to believe it.

    Draws Grad-CAM maps; says how much of their weight lies on the galaxy, on neighbours, on sky and at the
    edge; and whether the maps change when the network's weights are replaced by noise.  Writes explain.json,
    explain.fits (scores and maps) and report.html.
    """

    kind = "explain"
    version = 1
    Config = ExplainConfig
    positionals = ("run", "data")
    options = (option("explain", flags=("--class",)), "layer", "limit", *reading("read"))
    examples = (
        "galshift explain runs/adapt-1a2b3c4d sdss/",
        "galshift explain runs/adapt-1a2b3c4d sim.h5 wide=sdss/ --limit 1000",
    )
    inputs = ("run", "data", "read.labels?", "read.psf?", "read.weights?")
    display = ("samples",)

    def run(self, config: ExplainConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Draw maps, score them, check them against a network of noise."""
        from galshift.verbs.explain.work import work

        return work(config, run, context.device)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the report says at its top."""
        return [*results["answer"], *(f"note: {line}" for line in results["warnings"])]
