"""Make idealised mergers, spirals and ellipticals, so that everything runs with nothing downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from galshift import console
from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option


class SimulateConfig(Strict):
    """What to simulate; see :func:`galshift.simulate.generate.simulate`."""

    n: int = Field(600, ge=1, description="Galaxies; there are n x views images.")
    classes: tuple[str, ...] = Field(
        ("merger", "spiral", "elliptical"),
        min_length=1,
        description="Classes in the order of the labels; also edge-on, barred and lens.",
    )
    views: int = Field(1, ge=1, description="Cameras per galaxy; all views of one share a group.")
    size: int = Field(96, ge=16, le=4096, description="Pixels along a side.")
    bands: tuple[str, ...] = Field(("g", "r", "i"), min_length=1, description="Bands, of u g r i z y.")
    redshift: float = Field(0.12, ge=0.001, le=3, description="Redshift at which the galaxies stand.")
    pixel_scale_arcsec: float | None = Field(
        None, gt=0, description="Default: 28.8 arcsec / size, 0.3 arcsec at 96 pixels."
    )
    seed: int = Field(42, description="Seed of every random stream.")


@STEPS.register("simulate")
class Simulate(Step):
    """Make noise-free images of idealised galaxies with labels, in nJy, without a PSF.

    Classes: merger (restricted three-body encounters with tails and bridges), spiral, elliptical; and, for
    studies that hold a class back, edge-on, barred and lens.  The views of one galaxy share its group.
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
        from galshift.simulate import KINDS

        return {f"galaxy {name}": KINDS.get(name).version for name in config.classes}

    def run(self, config: SimulateConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Simulate, chunk by chunk, into ``context.out``."""
        from galshift.data.hdf5 import write_hdf5
        from galshift.provenance import environment
        from galshift.simulate.generate import make_frame, simulate

        out = context.out or Path(run.path) / self.product
        frame = make_frame(config.size, config.bands, config.redshift, config.pixel_scale_arcsec)
        chunks = simulate(**config.model_dump())
        counts = dict.fromkeys(config.classes, 0)
        with console.progress("simulate", config.n) as bar:

            def counted():
                for chunk in chunks:
                    yield chunk
                    for label in chunk.labels[:: config.views]:
                        counts[config.classes[label]] += 1
                    bar.advance(len(chunk) // config.views)

            provenance = {"step": self.kind, "config": config.model_dump(mode="json"), **environment()}
            write_hdf5(out, counted(), provenance=provenance)
        return {
            "n_galaxies": config.n,
            "n_images": config.n * config.views,
            "classes": counts,
            "shape": [len(config.bands), config.size, config.size],
            "unit": "nJy",
            "pixel_scale_arcsec": frame.pixel_scale_arcsec,
            "redshift": frame.redshift,
            "outputs": {"data": Path(out).name},
        }

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
