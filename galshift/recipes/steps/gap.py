"""Say how far apart two data sets are, and in what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.types import Strict


class GapConfig(Strict):
    """Which two data sets are compared, and how many of their galaxies."""

    a: str = Field(description="One data set; name=DATA names it.")
    b: str = Field(description="The other.")
    model: str | None = Field(None, description="Run in whose features the two are compared as well.")
    read: ReadOptions = ReadOptions()
    limit: int = Field(500, ge=20, description="At most as many galaxies of either set, drawn at random.")
    n_permutations: int = Field(1000, ge=0, le=100_000, description="Relabellings for the MMD's p-value.")
    samples: int = Field(10, ge=0, le=100, description="Images of each set in the report.")
    seed: int = 42


@STEPS.register("gap")
class Gap(Step):
    """Write ``gap.json``, ``measurements.fits`` and ``report.html``."""

    kind = "gap"
    version = 1
    Config = GapConfig
    inputs = ("a", "b", "model", "read.labels?")
    display = ("samples",)

    def run(self, config: GapConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Measure both sets, compare them quantity by quantity, then as a whole."""
        from galshift.evaluation.predictions import write_predictions
        from galshift.provenance import write_json
        from galshift.recipes.steps._gap import compare_sets, measurements_table
        from galshift.recipes.steps._gap_report import gap_report
        from galshift.report import build

        found = compare_sets(config, context.device)
        write_json(run.path / "gap.json", {"schema": 1, **found.document()})
        write_predictions(run.path / "measurements.fits", measurements_table(found.sides))
        build(run.path / "report.html", gap_report(found, samples=config.samples))
        outputs = {"results": "gap.json", "table": "measurements.fits", "report": "report.html"}
        return {**found.document(), "outputs": outputs}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the report says at its top."""
        return [*results["answer"], *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report."""
        return [f"open {results['run']}/report.html in a browser"]
