"""Make idealised galaxies with labels: noise-free images from which mocks are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.simulate import KINDS
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs.simulate.config import SimulateConfig


@STEPS.register("simulate")
class Simulate(Step):
    """Write an HDF5 file of idealised galaxies."""

    kind = "simulate"
    version = 1
    Config = SimulateConfig
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
        path = results.get("out") or f"{results['run']}/{self.product}"
        return [f"galshift inspect {path}", f"galshift make-mocks {path} mocks.h5 --survey lsst-y10"]
