"""Damage images as surveys do, and count what stays right before and after adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.audit.corruptions import CORRUPTIONS
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.audit.config import AuditConfig


@STEPS.register("audit")
class Audit(Step):
    """Damage images as surveys do, five severities of each kind, and count what stays right.

    Noise, blur, sky residuals, astrometric errors, rotation, dropped pixels, bad columns, satellite trails,
    JPEG and fpack compression, gain errors and saturation, each before the model's own stretch. An adapted
    run is compared with its source-only companion on the same damaged images. Writes audit.json and
    report.html.
    """

    kind = "audit"
    version = 1
    Config = AuditConfig
    positionals = ("run", "data")
    options = (
        option("compare", metavar="RUN2"),
        option(
            "corruption", "corruptions", metavar="NAME", names=("galshift.audit.corruptions", "CORRUPTIONS")
        ),
        "limit",
        *reading("read"),
    )
    examples = (
        "galshift audit runs/adapt-1a2b3c4d target.h5",
        "galshift audit runs/adapt-1a2b3c4d target.h5 --corruption jpeg --corruption rice --limit 200",
    )
    inputs = ("run", "data", "compare", "read.labels?", "read.psf?", "read.weights?")
    resumable = True
    resources = ("device", "workers", "scheduler")

    def run(self, config: AuditConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Audit every model on the same damaged images."""
        from galshift.verbs.audit.work import work

        return work(config, run, context.device, context.engine)

    def versions(self, config: AuditConfig) -> Mapping[str, int]:
        """Return the version of every corruption."""
        names = config.corruptions or CORRUPTIONS.available()
        return {f"corruption {name}": CORRUPTIONS.get(name).version for name in names}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what stays right, and which model withstands more."""
        from galshift.verbs.audit.report import headline

        lines = [headline(model) for model in results["models"]]
        return [*lines, *(pair["verdict"] for pair in results["compare"]), *results["warnings"]]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Look at the report; then search for faults."""
        run, data = self.named(results, "run", "RUN"), self.named(results, "data")
        return [*super().next_steps(results), f"galshift one-pixel-attack {run} {data}{self.said(results)}"]
