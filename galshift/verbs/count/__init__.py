"""Count the galaxies of each class in a data set, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading
from galshift.verbs.count.config import CountConfig


@STEPS.register("count")
class Count(Step):
    """Count the galaxies of each class: fraction and number, with 95 % intervals.

    With --labels, the classes of a random sample (suggest --aim measure draws one) correct what the network
    gets wrong; however wrong it is, the interval holds.  Without, the images of each class must look to the
    network as those of its source do; where a test says that they do not, nothing is counted.  Labels play no
    other part.  Writes count.json, counts.ecsv, counts.csv and report.html.
    """

    kind = "count"
    version = 1
    Config = CountConfig
    positionals = ("run", "data")
    options = (
        option("by", metavar="COLUMN"),
        option("bins", metavar="EDGE,..."),
        option("bootstrap", "n_bootstrap"),
        *reading("read"),
    )
    examples = (
        "galshift count runs/adapt-1a2b3c4d sdss/ --labels measured.csv",
        "galshift count runs/adapt-1a2b3c4d sdss/ --by magnitude --bins 15,17,19",
    )
    inputs = ("run", "data", "read.labels?", "read.psf?", "read.weights?")
    resources = ("device", "workers", "scheduler")

    def run(self, config: CountConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Classify, count, write."""
        from galshift.verbs.count.work import work

        return work(config, run, context.device, context.engine)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say every fraction and number, then on what they rest."""
        from galshift.verbs.count.words import basis, lines

        return [*lines(results), *basis(results), *(f"note: {line}" for line in results["warnings"])]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Read the report; without labels, have some to check the count with."""
        pages = super().next_steps(results)
        if results["with_labels"]:
            return pages
        run, data = self.named(results, "run", "RUN"), self.named(results, "data")
        said = self.said(results, of_labels=False)
        return [*pages, f"galshift suggest {run} {data} --budget 100 --aim measure{said}"]
