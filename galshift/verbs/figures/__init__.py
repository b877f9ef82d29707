"""Draw a report's figures and tables for a paper."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.provenance import canonical_json
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs.figures.config import FiguresConfig


@STEPS.register("figures")
class Figures(Step):
    """Draw every figure of a run's report for a paper, with the numbers behind it, and tables as LaTeX.

    Figures take your own matplotlib style (matplotlibrc, or --style) and carry their fonts; the data of each
    is an ECSV file of the same name, contents.ecsv has the captions.
    """

    kind = "figures"
    version = 1
    Config = FiguresConfig
    positionals = ("run",)
    options = ("format", "width", "style")
    examples = (
        "galshift figures runs/adapt-1a2b3c4d figures/",
        "galshift figures runs/adapt-1a2b3c4d figures/ --format svg --width page",
    )
    out_help = "Folder for the figures."
    inputs = ("run",)
    product = "figures"
    resources = ()

    def versions(self, config: FiguresConfig) -> Mapping[str, int]:
        """Return a number of what the user's matplotlibrc changes, for it changes the figures."""
        import matplotlib

        own = {
            name: str(value)
            for name, value in matplotlib.rcParams.items()
            if not name.startswith("backend") and value != matplotlib.rcParamsDefault[name]
        }
        return {"matplotlibrc": zlib.crc32(canonical_json(own).encode())} if own else {}

    def run(self, config: FiguresConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Draw into ``context.out``."""
        from galshift.verbs.figures.work import work

        return work(config, context.out or Path(run.path) / self.product)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Say how many figures and tables there are."""
        n, m = results["n_figures"], results["n_tables"]
        return [
            f"{n} figure{'s' * (n != 1)} ({results['format']}, {results['width_mm']:g} mm wide) with "
            f"{'their' if n != 1 else 'its'} data, {m} table{'s' * (m != 1)}"
        ]
