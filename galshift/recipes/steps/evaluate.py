"""Judge classifiers on images that they never saw, side by side, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from galshift.data.options import ReadOptions
from galshift.recipes._step import Context, Step
from galshift.recipes.steps import STEPS
from galshift.rundirectory import RunDirectory
from galshift.types import Strict

if TYPE_CHECKING:
    from galshift.recipes.steps._outcomes import Evaluation


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
        from galshift.provenance import write_json
        from galshift.recipes.steps._evaluation_report import report_data
        from galshift.recipes.steps._outcomes import evaluate
        from galshift.report import build

        found = evaluate(config, context.device)
        write_json(run.path / "metrics.json", {"schema": 1, **found.document()})
        outputs = {"metrics": "metrics.json", "report": "report.html", **self._predictions(found, run)}
        build(run.path / "report.html", report_data(found, samples=config.samples, seed=config.seed))
        return {**found.document(), "outputs": outputs}

    def _predictions(self, found: Evaluation, run: RunDirectory) -> dict[str, str]:
        """Write one table for each classifier; the first run given has the plain name."""
        from galshift.evaluation.predictions import write_predictions

        files = {}
        for position, classifier in enumerate(found.classifiers):
            name = "predictions.fits" if position == 0 else f"predictions-{position}.fits"
            table = found.predictions(classifier)
            details = {"classifier": classifier.name, "run": str(classifier.path)}
            write_predictions(run.path / name, table, provenance=details)
            files["predictions" if position == 0 else f"predictions-{position}"] = name
        return files

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say every accuracy with its interval and its majority-class line."""
        lines = []
        for result in results["results"]:
            for name, domain in result["domains"].items():
                if not domain["labelled"]:
                    lines.append(f"{name}: {result['name']}: no labels, so no accuracy is claimed")
                    continue
                low, high = domain["ci95"].get("accuracy") or (None, None)
                interval = f" ({low:.2f} to {high:.2f})" if low is not None else ""
                lines.append(
                    f"{name}: {result['name']}: accuracy {domain['accuracy']:.2f}{interval}, "
                    f"macro F1 {domain['macro_f1']:.2f}, majority class "
                    f"{domain['majority_class_accuracy']:.2f}"
                )
        return [*lines, *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; attack the first run."""
        return [
            f"open {results['run']}/report.html in a browser",
            f"galshift one-pixel-attack {results['results'][0]['run']} DATA",
        ]
