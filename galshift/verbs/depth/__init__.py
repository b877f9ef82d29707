"""Say how deep a survey must be for a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.depth.config import DepthConfig


@STEPS.register("depth")
class DepthStep(Step):
    """Say how deep a survey must be for a classifier.

    Observes the same galaxies at several depths, evaluates the classifier on each with intervals, and draws
    both.  Galaxies whose images the run has seen are left out.  Writes depth.json and report.html.
    """

    kind = "depth"
    version = 1
    Config = DepthConfig
    positionals = ("run", "sim")
    options = (
        option("survey", names=("galshift.surveys", "")),
        option("times", metavar="F,F,..."),
        "limit",
        *reading("read"),
    )
    examples = (
        "galshift depth runs/adapt-1a2b3c4d sim.h5 --survey lsst",
        "galshift depth runs/adapt-1a2b3c4d sim.h5 --survey decals --times 0.1,0.3,1,3",
    )
    inputs = ("run", "sim", "survey?", "read.labels?", "read.psf?", "read.weights?")
    display = ("samples",)
    resumable = True

    def versions(self, config: DepthConfig) -> Mapping[str, int]:
        """Return the version of each preset."""
        from galshift.verbs.depth.presets import presets_of

        return {f"survey {preset.name}": preset.version for preset in presets_of(config.survey, config.times)}

    def run(self, config: DepthConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Observe, evaluate, draw."""
        from galshift.verbs.depth.work import work

        return work(config, run, context.device)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say every accuracy, then what it means."""
        lines = [f"{row['name']}: accuracy {row['accuracy']:.2f}" for row in results["depths"]]
        return [*lines, *results["answer"], *(f"note: {line}" for line in results["warnings"])]
