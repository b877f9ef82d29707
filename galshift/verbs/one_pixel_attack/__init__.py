"""Search for one-pixel detector faults that fool a model, and certify what holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.audit.faults import FAULTS
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs.one_pixel_attack.config import OnePixelAttackConfig


@STEPS.register("one-pixel-attack")
class OnePixelAttack(Step):
    """Attack each image, store every row as it is found, then write the products."""

    kind = "one-pixel-attack"
    version = 2
    Config = OnePixelAttackConfig
    inputs = ("run", "data", "compare", "read.labels?")
    display = ("gallery",)
    resumable = True

    def run(self, config: OnePixelAttackConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``attack.json``, ``attack.fits`` and ``report.html``."""
        from galshift.verbs.one_pixel_attack.work import work

        return work(config, run, context.device)

    def versions(self, config: OnePixelAttackConfig) -> Mapping[str, int]:
        """Return the version of the fault."""
        return {f"fault {config.fault.kind}": FAULTS.get(config.fault.kind).version}

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say what broke and what is certified."""
        from galshift.verbs.one_pixel_attack.report import headline

        lines = [headline(results)]
        if "compare" in results:
            lines.append(results["compare"]["verdict"])
        return [*lines, *results["warnings"]]
