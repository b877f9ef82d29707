"""Find the galaxies most like one galaxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.similar.config import SimilarConfig


@STEPS.register("similar")
class Similar(Step):
    """Find the galaxies most like one galaxy, by the features that a classifier decides on.

    Each galaxy is given once, and the asked one's other views do not count.  Writes similar.fits and
    report.html with their pictures, and says how alone the galaxy stands.
    """

    kind = "similar"
    version = 1
    Config = SimilarConfig
    positionals = ("run", "data", "id")
    options = (
        option("among", metavar="DATA...", several=True),
        option("n", flags=("-n", "--n")),
        "limit",
        *reading("read"),
    )
    examples = (
        "galshift similar runs/adapt-1a2b3c4d sdss/ J101217.5",
        "galshift similar runs/adapt-1a2b3c4d sdss/ J101217.5 --among sim.h5 -n 50",
    )
    inputs = ("run", "data", "among", "read.labels?", "read.psf?", "read.weights?")

    def run(self, config: SimilarConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Forward, search, draw."""
        from galshift.verbs.similar.work import work

        return work(config, run, context.device)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how unusual it is and which class the others are given."""
        from galshift.verbs.similar.report import opening_sentences

        return opening_sentences(results)
