"""Show where a classifier looks, with scores that say whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.types import Strict


class ExplainConfig(Strict):
    """Whose decisions are explained, on what."""

    run: str = Field(description="Run directory.")
    data: list[str] = Field(min_length=1, description="Data sets; name=DATA names one.")
    read: ReadOptions = ReadOptions()
    explain: Literal["predicted", "true"] = Field(
        "predicted", description="Which class's evidence is drawn: the answer's, or the label's."
    )
    layer: str | None = Field(None, description="Layer to read; default the last of at least 7 x 7 pixels.")
    limit: int = Field(300, ge=1, description="At most as many images of each data set, drawn at random.")
    samples: int = Field(16, ge=0, le=200, description="Images of each data set in the report.")
    seed: int = 42


@STEPS.register("explain")
class Explain(Step):
    """Write ``explain.json``, ``explain.fits`` (scores and maps) and ``report.html``."""

    kind = "explain"
    version = 1
    Config = ExplainConfig
    inputs = ("run", "data", "read.labels?")
    display = ("samples",)

    def run(self, config: ExplainConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Draw maps, score them, check them against a network of noise."""
        from galshift.provenance import write_json
        from galshift.recipes.steps._explaining import explain_sets, write_maps
        from galshift.recipes.steps._explaining_report import explain_report
        from galshift.report import build

        found = explain_sets(config, context.device)
        write_json(run.path / "explain.json", {"schema": 1, **found.document()})
        write_maps(run.path / "explain.fits", found)
        build(run.path / "report.html", explain_report(found, samples=config.samples, seed=config.seed))
        outputs = {"results": "explain.json", "table": "explain.fits", "report": "report.html"}
        return {**found.document(), "outputs": outputs}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the report says at its top."""
        return [*results["answer"], *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report."""
        return [f"open {results['run']}/report.html in a browser"]
