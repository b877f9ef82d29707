"""Pack a data set into one HDF5 file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs.pack.config import PackConfig


@STEPS.register("pack")
class Pack(Step):
    """Write an HDF5 file with every image of a data set, its labels, groups, masks and catalogue."""

    kind = "pack"
    version = 1
    Config = PackConfig
    inputs = ("data", "read.labels?", "read.catalog")
    product = "packed.h5"
    resumable = True

    def run(self, config: PackConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Decode piece by piece into the run directory, then join the pieces into ``context.out``."""
        from galshift.verbs.pack.work import work

        folder = Path(run.path)
        return work(config, context.out or folder / self.product, folder / "pieces", context.workers)

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Return how many images the file holds and what was left out."""
        shape = " x ".join(map(str, results["shape"]))
        lines = [f"{results['n_images']} images of {shape} ({results['bytes'] / 1e6:.3g} MB)"]
        if results["n_skipped"]:
            shown = "; ".join(results["skipped"][:3])
            lines.append(f"left out {results['n_skipped']} that cannot be read: {shown}")
        return [*lines, *results["notes"]]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Return how to look at the file."""
        return [f"galshift inspect {results.get('out') or results['run'] + '/' + self.product}"]
