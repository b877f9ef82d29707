"""Suggest which galaxies to label next, to improve a classifier or to measure it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import reading
from galshift.verbs.suggest.config import LABEL, SuggestConfig


@STEPS.register("suggest")
class Suggest(Step):
    """Suggest which galaxies to label next.

    To improve: galaxies that the classifier is unsure of, one from each cluster of its features (CLUE), or as
    --by says; none of those that judge the run.  With --cost and a budget in its unit (exposure time, say)
    what counts is the gain per cost.  To measure: a simple random sample, whose accuracy is that of the
    whole; or, to count rare classes, one with more of the galaxies that are answered so.  Galaxies that have
    a label are left out.  Writes suggest.csv, with a column to fill in, and report.html.
    """

    kind = "suggest"
    version = 2
    Config = SuggestConfig
    positionals = ("run", "data")
    options = ("budget", "aim", "by", "cost", "batch", "strata", "limit", *reading("read"))
    examples = (
        "galshift suggest runs/adapt-1a2b3c4d sdss/ --budget 100",
        "galshift suggest runs/adapt-1a2b3c4d sdss/ --budget 36000 --cost exposure_s --where 'dec > -20'",
        "galshift suggest runs/adapt-1a2b3c4d sdss/ --budget 400 --aim measure",
    )
    inputs = ("run", "data", "read.labels?", "read.psf?", "read.weights?")
    display = ("pictures",)
    newer = ("strata", "cost", "by", "batch")

    def run(self, config: SuggestConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Forward, choose, draw."""
        from galshift.verbs.suggest.work import work

        return work(config, run, context.device)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what was chosen and what it is good for."""
        from galshift.verbs.suggest.report import opening_sentences

        return [*opening_sentences(results), *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Fill in the labels; then measure, or train."""
        table = self.place(results, "suggest.csv")
        columns, classes = results["to_fill_in"], results["classes"]
        if columns == [LABEL]:
            first, measure = f"the column 'label' of {table} ({', '.join(classes)})", " --label-column label"
            teach = measure
        else:
            first, measure = f"the numbers of votes in {table} ({', '.join(columns)})", ""
            total = "".join(f" --vote-total {name}" for name in columns[len(classes) :])
            teach = f" --votes {','.join(classes)}{total}"
        run, data = self.named(results, "run", "RUN"), self.named(results, "data")
        pixels = self.said(results, of_labels=False)
        if results["aim"] == "measure":
            count = f"galshift count {run} {data} --labels {table}{measure}{pixels}"
            if results.get("strata", "none") != "none":
                return [f"fill in {first}", count]
            judged = f"galshift evaluate {run} --on {data} --labels {table}{measure}{pixels}"
            return [f"fill in {first}", judged, *([count] if columns == [LABEL] else [])]
        if "again" in results:
            earlier = "".join(f" {shlex.quote(one)}" for one in results["earlier"])
            return [f"fill in {first}", f"{results['again']} --target-labels {table} --earlier{earlier}"]
        return [f"fill in {first}", f"galshift train {data} --labels {table}{teach}{pixels} --init {run}"]
