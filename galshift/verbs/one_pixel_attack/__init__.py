"""Search for one-pixel detector faults that fool a model, and certify what holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.audit.faults import FAULTS
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.one_pixel_attack.config import OnePixelAttackConfig


@STEPS.register("one-pixel-attack")
class OnePixelAttack(Step):
    """Search for detector faults of one or a few pixels that change what a model says of an image.

    The default search tries every pixel with every value of a stated grid: an image that survives is
    certified for that grid.  Faults in electrons (hot, dead, saturated, cosmic) strike before the model's
    own stretch. Only correctly classified images are attacked.  An interrupted search resumes with the same
    command.
    """

    kind = "one-pixel-attack"
    version = 2
    Config = OnePixelAttackConfig
    positionals = ("run", "data")
    options = (
        option("compare", metavar="RUN2"),
        "fault",
        "search",
        "limit",
        "pixels",
        option("target", metavar="CLASS"),
        option("survey", names=("galshift.surveys", "")),
        "save_images",
        *reading("read"),
    )
    examples = (
        "galshift one-pixel-attack runs/adapt-1a2b3c4d target.h5 --limit 100",
        "galshift one-pixel-attack runs/adapt-1a2b3c4d target.h5 --compare runs/train-5e6f7a8b --fault hot",
    )
    inputs = ("run", "data", "compare", "read.labels?", "read.psf?", "read.weights?")
    display = ("gallery",)
    resumable = True
    resources = ("device", "workers", "scheduler")

    def run(self, config: OnePixelAttackConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Write ``attack.json``, ``attack.fits`` and ``report.html``."""
        from galshift.verbs.one_pixel_attack.work import work

        return work(config, run, context.device, context.engine)

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
