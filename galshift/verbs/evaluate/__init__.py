"""Judge classifiers on images that they never saw, side by side, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs.evaluate.config import EvaluateConfig


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
        from galshift.verbs.evaluate.products import write_evaluation
        from galshift.verbs.evaluate.work import evaluate

        found = evaluate(config, context.device)
        outputs = write_evaluation(found, run.path, samples=config.samples, seed=config.seed)
        return {**found.document(), "outputs": outputs}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say every accuracy with its interval and its majority-class line."""
        from galshift.verbs.evaluate.products import headlines

        return headlines(results["results"], results["warnings"])

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; attack the first run, or use it where it predicts numbers."""
        run = results["results"][0]["run"]
        values = results.get("label_kind") == "value"
        use = f"galshift predict {run} DATA OUT.fits" if values else f"galshift one-pixel-attack {run} DATA"
        return [*super().next_steps(results), use]
