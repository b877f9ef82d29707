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
    inputs = ("a", "b", "model", "read.labels?")
    display = ("samples",)

    def run(self, config: GapConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Measure both sets, compare them quantity by quantity, then as a whole."""
        from galshift.evaluation.predictions import write_predictions
        from galshift.provenance import write_json
        from galshift.report import build
        from galshift.verbs.gap.report import answer, gap_report
        from galshift.verbs.gap.work import compare_sets, measurements_table

        found = compare_sets(config, context.device)
        document = found.document(answer(found))
        write_json(run.path / "gap.json", {"schema": 1, **document})
        write_predictions(run.path / "measurements.fits", measurements_table(found.sides))
        build(run.path / "report.html", gap_report(found, samples=config.samples))
        outputs = {"results": "gap.json", "table": "measurements.fits", "report": "report.html"}
        return {**document, "outputs": outputs}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the report says at its top."""
        return [*results["answer"], *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report."""
        return [f"open {results['run']}/report.html in a browser"]
