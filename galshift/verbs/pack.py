"""Pack images of any kind into one HDF5 file that trains fast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from galshift import console
from galshift.data.options import ReadOptions
from galshift.errors import UsageError
from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import READING, counted_votes, option, reading


class PackConfig(Strict):
    """What to pack; see :func:`galshift.data.pack.pack`."""

    data: str = Field(description="Images: a folder, a file, or a pair x.npy:y.npy.")
    read: ReadOptions = Field(
        default_factory=ReadOptions, description="What the files do not say themselves."
    )


@STEPS.register("pack")
class Pack(Step):
    """Decode every image once and write them, with labels, groups, masks and catalogue, to one HDF5 file.

    An interrupted run goes on where it stopped when the same command is given again.  The file is the same
    however many --workers make it.
    """

    kind = "pack"
    version = 1
    Config = PackConfig
    positionals = ("data",)
    options = (
        option(
            "cutouts_from",
            None,
            help="Frame to cut DATA's positions out of.",
            metavar="FRAME",
            panel=READING,
        ),
        *reading("read", cutout_size="size"),
    )
    examples = (
        "galshift pack sdss/ sdss.h5 --labels votes.csv --workers 4 --on-error skip",
        "galshift pack positions.fits cutouts.h5 --cutouts-from frame.fits --size 12arcsec",
    )
    resources = ("workers",)
    inputs = ("data", "read.labels?", "read.catalog")
    product = "packed.h5"
    resumable = True

    def from_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """With ``cutouts_from`` DATA is the catalogue of positions, and the frame is what is opened."""
        values = counted_votes(given, with_total=True)
        frame, data, catalog = values.pop("cutouts_from", None), given.get("data"), given.get("catalog")
        if frame is None:
            return values
        if catalog not in (None, data):
            raise UsageError(
                f"the positions are given twice, as {data} and as {catalog}",
                where="--catalog",
                hint="such as: galshift pack positions.fits OUT.h5 --cutouts-from frame.fits --size 12arcsec",
            )
        return {**values, "data": frame, "catalog": data}

    def run(self, config: PackConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Decode piece by piece into the run directory, then join the pieces into ``context.out``."""
        import shutil

        from galshift.data.open import open_dataset
        from galshift.data.pack import pack
        from galshift.provenance import environment

        out = context.out or Path(run.path) / self.product
        scratch = Path(run.path) / "pieces"
        provenance = {"step": self.kind, "config": config.model_dump(mode="json"), **environment()}
        dataset = open_dataset(config.data, config.read)
        info = dataset.info
        with console.progress("pack", info.n) as bar:
            packed = pack(
                config.data,
                out,
                config.read,
                scratch=scratch,
                workers=context.workers,
                provenance=provenance,
                progress=bar.advance,
                dataset=dataset,
            )
        shutil.rmtree(scratch)
        return {
            "n_images": packed.n,
            "n_skipped": len(packed.skipped),
            "skipped": list(packed.skipped[:100]),
            "shape": list(info.shape),
            "bands": list(info.bands),
            "unit": info.unit,
            "classes": list(info.classes),
            "notes": list(packed.notes),
            "bytes": Path(out).stat().st_size,
            "outputs": {"data": Path(out).name},
        }

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
