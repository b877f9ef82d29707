"""Judge classifiers on images that they never saw, side by side, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.types import Strict


class EvaluateConfig(Strict):
    """What to judge, and on what."""

    runs: list[str] = Field(min_length=1, description="Run directories; name=RUN names one in the report.")
    on: list[str] = Field([], description="Data sets; empty: each run's held-out source and target images.")
    read: ReadOptions = Field(ReadOptions(), description="How to read them, or the held-out target.")
    baseline: bool = Field(True, description="Judge the source-only companion of an adapted run too.")
    n_bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples of galaxies for intervals.")
    n_permutations: int = Field(1000, ge=0, le=100_000, description="Relabellings for the MMD's p-value.")
    samples: int = Field(24, ge=0, le=500, description="Images shown in the report.")
    seed: int = 42


@STEPS.register("evaluate")
class Evaluate(Step):
    """Write ``metrics.json``, ``predictions.fits`` and ``report.html``."""

    kind = "evaluate"
    version = 1
    Config = EvaluateConfig
    inputs = ("runs", "on", "read.labels?")
    display = ("samples",)

    def run(self, config: EvaluateConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Judge every run on every data set."""
        from galshift.recipes.steps._evaluation_products import write_evaluation
        from galshift.recipes.steps._outcomes import evaluate

        found = evaluate(config, context.device)
        outputs = write_evaluation(found, run.path, samples=config.samples, seed=config.seed)
        return {**found.document(), "outputs": outputs}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say every accuracy with its interval and its majority-class line."""
        from galshift.recipes.steps._evaluation_products import headlines

        return headlines(results["results"], results["warnings"])

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; attack the first run, or use it where it predicts numbers."""
        run = results["results"][0]["run"]
        if results.get("label_kind") == "value":
            return [
                f"open {results['run']}/report.html in a browser",
                f"galshift predict {run} DATA OUT.fits",
            ]
        return [
            f"open {results['run']}/report.html in a browser",
            f"galshift one-pixel-attack {run} DATA",
        ]
