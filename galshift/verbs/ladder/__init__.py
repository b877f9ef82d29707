"""Say which step of realism brings simulated galaxies closer to real ones."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from galshift import surveys
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.ladder.config import LadderConfig


@STEPS.register("ladder")
class Ladder(Step):
    """Say which step of realism brings simulated galaxies closer to real ones.

    Observes SIM step by step (PSF and pixels, noise, its correlation, varying seeing, real sky), measures
    every step and REAL, and says how far apart they are, in what, and what is still missing.  The options of
    reading go for REAL (for SIM: --set read.unit=nJy).  Writes ladder.json and report.html.
    """

    kind = "ladder"
    version = 1
    Config = LadderConfig
    positionals = ("sim", "real")
    options = (
        option("survey", names=("galshift.surveys", "")),
        option("model", metavar="RUN"),
        option("sky", metavar="FILE"),
        "limit",
        *reading("read_real"),
    )
    examples = (
        "galshift ladder sim.h5 sdss/ --survey sdss",
        "galshift ladder sim.h5 decals/ --survey decals --model runs/adapt-1a2b3c4d --on-error skip",
    )
    inputs = (
        "sim",
        "real",
        "survey?",
        "model",
        "sky",
        "read.labels?",
        "read.psf?",
        "read.weights?",
        "read_real.labels?",
        "read_real.psf?",
        "read_real.weights?",
    )
    display = ("samples",)
    resumable = True

    def versions(self, config: LadderConfig) -> Mapping[str, int]:
        """Return the version of the preset."""
        return {f"survey {config.survey}": surveys.load(config.survey).version}

    def run(self, config: LadderConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Observe, measure, draw."""
        from galshift.verbs.ladder.work import work

        return work(config, run, context.device)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what the report says at its top."""
        return [*results["answer"], *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; make the mocks."""
        sim, mocks = self.named(results, "sim"), self.unused("mocks.h5")
        survey = shlex.quote(results["survey"])
        return [*super().next_steps(results), f"galshift make-mocks {sim} {mocks} --survey {survey}"]
