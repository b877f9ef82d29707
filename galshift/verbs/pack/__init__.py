"""Pack images of any kind into one HDF5 file that trains fast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.data.public import find_layout
from galshift.errors import UsageError
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import READING, counted_votes, option, reading
from galshift.verbs.pack.config import INPUTS, PackConfig


@STEPS.register("pack")
class Pack(Step):
    """Decode every image once and write them, with labels, groups, masks and catalogue, to one HDF5 file.

    An interrupted run goes on where it stopped when the same command is given again.  The file is the same
    however many --workers make it.  With --layout they are written as a published set lies on disk, so that
    what reads that set can be tried on other images.
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
        "shards",
        option("layout", metavar="SET/PART"),
        *reading("read", cutout_size="size"),
    )
    examples = (
        "galshift pack sdss/ sdss.h5 --labels votes.csv --workers 4 --on-error skip",
        "galshift pack positions.fits cutouts.h5 --cutouts-from frame.fits --size 12arcsec",
    )
    resources = ("workers", "scheduler")
    newer = ("shards", "layout")
    inputs = INPUTS
    product = "packed.h5"
    resumable = True

    def from_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """With ``cutouts_from`` DATA is the catalogue of positions, and the frame is what is opened.

        Raises
        ------
        UsageError
            When the positions are given twice.
        """
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
        from galshift.verbs.pack.work import work

        folder = Path(run.path)
        out = context.out or folder / self.product_of(config)
        return work(config, out, folder / "pieces", context.engine)

    def product_of(self, config: PackConfig) -> str:
        """Return the file, the folder of its shards, or the card of a published layout."""
        if config.layout is not None:
            return "packed.yaml"
        return self.product if config.shards is None else "packed"

    def products(self, config: PackConfig, out: Path) -> list[Path]:
        """Return OUT, and with ``layout`` the files that lie beside it."""
        files = [] if config.layout is None else find_layout(config.layout).files
        return [out, *(out.with_name(name) for name in files)]

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
        return [f"galshift inspect {self.place(results, '' if 'out' in results else self.product)}"]
