"""Make idealised mergers, spirals and ellipticals, so that everything runs with nothing downloaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.simulate import KINDS
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option
from galshift.verbs.simulate.config import SimulateConfig


@STEPS.register("simulate")
class Simulate(Step):
    """Make noise-free images of idealised galaxies with labels, in nJy, without a PSF.

    Classes: merger (restricted three-body encounters with tails and bridges), spiral, elliptical; for studies
    that hold a class back edge-on, barred and lens; and, for finer ones, round, cigar, spiral-tight,
    spiral-loose, edge-on-bulge, edge-on-no-bulge and disturbed.  The views of one galaxy share its group.
    """

    kind = "simulate"
    version = 1
    Config = SimulateConfig
    options = (
        option("n", flags=("--n",)),
        "classes",
        "views",
        "size",
        "bands",
        "redshift",
        option("pixel_scale", "pixel_scale_arcsec", metavar="ARCSEC"),
    )
    examples = (
        "galshift simulate galaxies.h5 --n 600 --views 4",
        "galshift simulate held-out.h5 --n 60 --classes edge-on,barred,lens --bands g,r,i,z",
    )
    resources = ()
    product = "galaxies.h5"

    def versions(self, config: SimulateConfig) -> Mapping[str, int]:
        """Return the version of each class of galaxy that is simulated."""
        return {f"galaxy {name}": KINDS.get(name).version for name in config.classes}

    def run(self, config: SimulateConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Simulate, chunk by chunk, into ``context.out``."""
        from galshift.verbs.simulate.work import work

        return work(config, context.out or Path(run.path) / self.product)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Return how many galaxies of which class were made."""
        mix = ", ".join(f"{count} {name}" for name, count in results["classes"].items())
        return [
            f"{results['n_images']} images of {results['n_galaxies']} galaxies ({mix}), "
            f"{results['pixel_scale_arcsec']:.3g} arcsec a pixel at z = {results['redshift']:g}"
        ]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Return how to look at the file and to observe it."""
        path = shlex.quote(str(results.get("out") or f"{results['run']}/{self.product}"))
        mocks = self.unused("mocks.h5")
        return [f"galshift inspect {path}", f"galshift make-mocks {path} {mocks} --survey lsst-y10"]
