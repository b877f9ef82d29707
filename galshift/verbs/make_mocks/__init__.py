"""Observe images as a survey would see them: PSF, pixels, sky and noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from galshift import console
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading, titled
from galshift.verbs.make_mocks.config import MakeMocksConfig
from galshift.verbs.make_mocks.instead import CHECK, DRY_RUN
from galshift.verbs.make_mocks.jobs import Job, Piece, made, pieces
from galshift.verbs.make_mocks.plan import (
    _bytes_per_image,
    _device,
    _draw,
    _nested,
    _place,
    _provenance,
    _surveys,
    plan,
    product_paths,
)
from galshift.verbs.make_mocks.store import Store, beside


@STEPS.register("make-mocks")
class MakeMocks(Step):
    """Observe images with a survey: PSF and pixels in one exact step, then photons, sky and detector noise.

    INPUT needs a physical unit and a pixel scale.  Beside OUT stand an account of every image
    (.images.jsonl), a manifest and a picture of galaxies before and after (.contact.png).  Faults (cosmic
    rays, bad columns, saturation, trails, JPEG) are set as in --set artifacts.cosmic_rays_per_megapixel=200.
    """

    kind = "make-mocks"
    version = 1
    Config = MakeMocksConfig
    positionals = ("input",)
    options = (
        option("survey", metavar="NAME|FILE", names=("galshift.surveys", "")),
        option("bands", metavar="g,r,i"),
        option("pair", metavar="NAME|FILE", names=("galshift.surveys", "")),
        *titled(
            "PSF and pixels",
            option("band_map", metavar="F814W=i,..."),
            option("psf", metavar="FILE"),
            option("input_psf", metavar="own|none|FWHM|FILE"),
            option("seeing"),
            option("size", metavar="PIXELS"),
        ),
        *titled(
            "Noise and sky",
            option("noise"),
            option("sky", metavar="DATA"),
            option("noise_correlation", metavar="preset|none|bilinear|FILE"),
            option("truth"),
        ),
        *titled(
            "Distance",
            option("redshift"),
            option("to_redshift"),
            option("k_correction"),
            option("pixel_scale_parsec", flags=("--pixel-scale-pc",), metavar="PC"),
        ),
        *reading("read", bands="input_bands"),
    )
    examples = (
        "galshift make-mocks galaxies.h5 mocks.h5 --survey lsst-y10",
        "galshift make-mocks galaxies.h5 mocks.h5 --survey lsst-y1 --pair lsst-y10 --bands g,r,i",
        "galshift make-mocks --check --survey lsst-y1",
    )
    resources = ("device", "workers", "scheduler")
    out_help = "A .h5 file, or a folder for one FITS file an image."
    instead = (CHECK, DRY_RUN)
    inputs = ("input", "read.labels?", "survey?", "pair?", "psf", "input_psf?", "sky", "noise_correlation?")
    product = "mocks.h5"
    resumable = True

    def versions(self, config: MakeMocksConfig) -> Mapping[str, int]:
        """Return the version of each survey preset."""
        from galshift import surveys

        return {f"survey {name}": surveys.load(name).version for name in _surveys(config)}

    def products(self, config: MakeMocksConfig, out: Path) -> list[Path]:
        """Return the mocks of each survey, with the accounts and the contact sheet beside them."""
        return [*product_paths(config, out), beside(out, "contact.png")]

    def run(self, config: MakeMocksConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Make the pieces that are not there yet, then join them at ``context.out``."""
        from galshift.data.open import open_dataset

        context = replace(context, out=context.out or Path(run.path) / self.product)
        dataset = open_dataset(config.input, config.read)
        results, job = self.produce(config, dataset, run.path, context)
        _draw(config, job, dataset, context.out)
        for survey in results["surveys"].values():
            for note in survey["notes"]:
                console.warn(note)
        return results

    def produce(
        self, config: MakeMocksConfig, dataset: Any, folder: Path, context: Context
    ) -> tuple[dict[str, Any], Job]:
        """Make and join the pieces of `dataset`, kept in `folder` meanwhile; return results and job."""
        job = plan(config, dataset, _device(context.device))
        store = Store(folder / "pieces", job, config.truth)
        cut = pieces(len(dataset), _bytes_per_image(job, dataset))
        missing = [piece for piece in cut if not store.has(piece)]
        if len(missing) < len(cut):
            console.say(f"resuming: {len(cut) - len(missing)} of {len(cut)} pieces are there")
        with console.progress("make-mocks", len(dataset)) as bar:
            bar.advance(sum(p.stop - p.start for p in cut) - sum(p.stop - p.start for p in missing))
            shared = {"workers": context.workers, "scheduler": context.scheduler, "dataset": dataset}
            for piece, observations in made(job, missing, **shared):
                store.put(piece, observations)
                bar.advance(piece.stop - piece.start)
        results = self._join(config, job, store, cut, context.out)
        store.clear()
        return results, job

    def _join(
        self, config: MakeMocksConfig, job: Job, store: Store, cut: list[Piece], out: Path
    ) -> dict[str, Any]:
        """Write the products from the stored pieces and return the headline results."""
        outputs, surveys = {}, {}
        for index, name in enumerate(job.surveys):
            path = _place(out, config, name)
            store.join(index, cut, path, _provenance(self, config, name))
            outputs["data" if len(job.surveys) == 1 else name] = path.name
            surveys[name] = store.summary(index, cut)
        return {
            "n_images": cut[-1].stop,
            "shape": list(job.shapes[0]) if len(job.shapes) == 1 else [list(s) for s in job.shapes],
            "surveys": surveys,
            "nested": _nested(job.surveys),
            "outputs": {**outputs, "contact_sheet": beside(out, "contact.png").name},
        }

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Return what each survey made of the images."""
        lines = []
        for name, survey in results["surveys"].items():
            noise = ", ".join(f"{b} {v['sky_sigma_njy']:.3g}" for b, v in survey["bands"].items())
            lines.append(f"{results['n_images']} images as {name}; sky sigma [nJy / pixel]: {noise}")
        if results["nested"] is not None:
            lines.append("the pair shares its photons" if results["nested"] else "the pair shares no photons")
        return lines

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Return how to look at the mocks and to train on them."""
        folder = Path(results.get("out") or f"{results['run']}/{self.product}").parent
        first = next(iter(results["outputs"].values()))
        return [f"galshift inspect {folder / first}", f"galshift train {folder / first}"]
