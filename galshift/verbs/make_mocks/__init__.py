"""Observe images as a survey would see them: PSF, pixels, sky and noise."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from galshift import surveys
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import option, reading, titled
from galshift.verbs.make_mocks.config import INPUTS, KIND, VERSION, MakeMocksConfig
from galshift.verbs.make_mocks.instead import CHECK, DRY_RUN
from galshift.verbs.make_mocks.paths import beside, product_paths, surveys_of


@STEPS.register(KIND)
class MakeMocks(Step):
    """Observe images with a survey: PSF and pixels in one exact step, then photons, sky and detector noise.

    INPUT needs a physical unit and a pixel scale.  Beside OUT stand an account of every image
    (.images.jsonl), a manifest and a picture of galaxies before and after (.contact.png).  Faults (cosmic
    rays, bad columns, saturation, trails, JPEG) are set as in --set artifacts.cosmic_rays_per_megapixel=200.
    """

    kind = KIND
    version = VERSION
    Config = MakeMocksConfig
    positionals = ("input",)
    options = (
        option("survey", metavar="NAME|FILE", names=("galshift.surveys", "")),
        option("bands", metavar="g,r,i"),
        option("pair", metavar="NAME|FILE", names=("galshift.surveys", "")),
        *titled(
            "PSF and pixels",
            option("band_map", metavar="INPUT=SURVEY,..."),
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
        *reading("read", bands="input_bands", less=("psf", "psf_pixel_scale_arcsec")),
    )
    examples = (
        "galshift make-mocks galaxies.h5 mocks.h5 --survey lsst-y10",
        "galshift make-mocks galaxies.h5 mocks.h5 --survey lsst-y1 --pair lsst-y10 --bands g,r,i",
        "galshift make-mocks --check --survey lsst-y1",
    )
    resources = ("device", "workers", "scheduler")
    out_help = "A .h5 file, or a folder for one FITS file an image."
    instead = (CHECK, DRY_RUN)
    inputs = INPUTS
    product = "mocks.h5"
    resumable = True

    def versions(self, config: MakeMocksConfig) -> Mapping[str, int]:
        """Return the version of each survey preset."""
        return {f"survey {name}": surveys.load(name).version for name in surveys_of(config)}

    def products(self, config: MakeMocksConfig, out: Path) -> list[Path]:
        """Return the mocks of each survey, with the accounts and the contact sheet beside them."""
        return [*product_paths(config, out), beside(out, "contact.png")]

    def run(self, config: MakeMocksConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Make the pieces that are not there yet, then join them at ``context.out``."""
        from galshift.verbs.make_mocks.work import work

        return work(config, run.path, replace(context, out=context.out or run.path / self.product))

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
        """Return how to look at the mocks and, where they have classes, to train on them or on a pair."""
        folder = Path(results.get("out") or f"{results['run']}/{self.product}").parent
        files = {role: name for role, name in results["outputs"].items() if role != "contact_sheet"}
        made = [shlex.quote(str(folder / name)) for name in files.values()]
        verb = "adapt" if len(made) > 1 else "train"
        train = [f"galshift {verb} {' '.join(made[:2])}"] if results.get("labelled") else []
        return [f"galshift inspect {made[0]}", *train]
