"""Say how far apart two data sets are, and in what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.gap.config import GapConfig


@STEPS.register("gap")
class Gap(Step):
    """Say how far apart two data sets are, and in what.

    Measures noise, light, colour, size and shape in both and ranks what differs; says how well the two can be
    told apart by that and, with --model, by the features that a model decides on.  Labels play no part.
    Writes gap.json, measurements.fits and report.html.
    """

    kind = "gap"
    version = 1
    Config = GapConfig
    positionals = ("a", "b")
    options = (option("model", metavar="RUN"), "limit", *reading("read"))
    examples = (
        "galshift gap sim.h5 sdss/",
        "galshift gap mocks=sim.h5 wide=sdss/ --model runs/adapt-1a2b3c4d",
    )
    inputs = ("a", "b", "model", "read.labels?", "read.psf?", "read.weights?")
    display = ("samples",)

    def run(self, config: GapConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Measure both sets, compare them quantity by quantity, then as a whole."""
        from galshift.verbs.gap.work import work

        return work(config, run, context.device)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the report says at its top."""
        return [*results["answer"], *(f"note: {line}" for line in results["warnings"])]
