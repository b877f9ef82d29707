"""Evaluate classifiers on images they never saw, with intervals and a report."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs._threshold import THRESHOLD
from galshift.verbs.evaluate.config import EvaluateConfig


@STEPS.register("evaluate")
class Evaluate(Step):
    """Evaluate classifiers side by side on images that none of them saw.

    Without --on: the source and target images that the runs set aside.  An adapted run is compared with its
    source-only companion.  A data set without labels gets no accuracy, but what can be said without.
    Writes metrics.json, predictions.fits and report.html.
    """

    kind = "evaluate"
    version = 1
    Config = EvaluateConfig
    positionals = ("runs",)
    options = (
        option("on", metavar="DATA...", several=True),
        "baselines",
        option("bootstrap", "n_bootstrap"),
        "samples",
        THRESHOLD,
        *reading("read"),
    )
    examples = (
        "galshift evaluate runs/adapt-1a2b3c4d",
        "galshift evaluate runs/train-1a2b3c4d runs/adapt-1a2b3c4d --on wide=sdss/ --labels votes.csv",
        "galshift evaluate runs/adapt-1a2b3c4d --threshold merger=purity:0.9",
    )
    inputs = ("runs", "on", "read.labels?", "read.psf?", "read.weights?")
    newer = ("baselines",)
    display = ("samples",)
    newer = ("threshold",)
    resources = ("device", "workers", "scheduler")

    def run(self, config: EvaluateConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Evaluate every run on every data set."""
        from galshift.verbs.evaluate.products import work

        return work(config, run.path, context.device, context.engine)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say every accuracy with its interval and its majority-class line."""
        from galshift.verbs.evaluate.products import headlines

        return headlines(results["results"], results["warnings"], results.get("baselines"))

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Read the report; attack the first run, or use it where there are no classes to attack."""
        first, named = results["results"][0], self.all_named(results, "on")
        images = list(first["domains"].values())[0 if named else -1]
        run = self.named(results, "runs", "RUN")
        data = named[0] if named else shlex.quote(_near(self._own_data(run, images["role"])))
        said = "" if images["role"] == "source" else self.said(results)
        attack = f"galshift one-pixel-attack {run} {data}{said}"
        use = f"galshift predict {run} {data} {self.unused('predictions.fits')}{said}"
        known = "classes" in results and images["labelled"]
        return [*super().next_steps(results), attack if known else use]

    @staticmethod
    def _own_data(run: str, role: str) -> str:
        """Return where the data lie that the run itself split, and that the images of `role` are of."""
        from galshift.domains.splits import read_splits

        return read_splits(Path(shlex.split(run)[0]))[role].path


def _near(path: str) -> str:
    """`path` as seen from here, where it lies below."""
    near = os.path.relpath(path)
    return path if near.startswith("..") else near
