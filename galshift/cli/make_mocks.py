"""Observe images as a survey would see them: PSF, pixels, sky and noise."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import Instead, Options, names_of, verb
from galshift.cli._reading import Hdu, Labels, OnError, PixelScale, Unit, reading

EXAMPLES = (
    "galshift make-mocks galaxies.h5 mocks.h5 --survey lsst-y10",
    "galshift make-mocks galaxies.h5 mocks.h5 --survey lsst-y1 --pair lsst-y10 --bands g,r,i",
    "galshift make-mocks --check --survey lsst-y1",
)
_OPTICS, _NOISE, _PLACE, _WORK = "PSF and pixels", "Noise and sky", "Distance", "Scale"


def _opt(*names: str, panel: str, help: str, metavar: str | None = None) -> typer.models.OptionInfo:
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, show_default=False)


@verb("make-mocks")
def command(
    input: Annotated[
        str | None, typer.Argument(metavar="INPUT", help="Images to observe.", show_default=False)
    ] = None,
    out: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT", help="A .h5 file, or a folder for one FITS file an image.", show_default=False
        ),
    ] = None,
    survey: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Preset, or a YAML file.", autocompletion=names_of("surveys")),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="g,r,i", help="The survey's bands [default: all it can make].")
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Second survey of the same galaxies and photons; writes OUT_<survey> for each.",
            autocompletion=names_of("surveys"),
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Measure the survey's mocks beside its published depth."),
    ] = False,
    band_map: Annotated[
        str | None,
        _opt(
            "--band-map",
            panel=_OPTICS,
            metavar="F814W=i,...",
            help="Input band=survey band.",
        ),
    ] = None,
    psf: Annotated[
        str | None,
        _opt("--psf", panel=_OPTICS, metavar="FILE", help="Kernel in place of the preset's."),
    ] = None,
    input_psf: Annotated[
        str | None,
        _opt(
            "--input-psf",
            panel=_OPTICS,
            metavar="own|none|FWHM|FILE",
            help="PSF that the input has already, and that is removed [default: what its file carries].",
        ),
    ] = None,
    seeing: Annotated[
        str | None,
        _opt("--seeing", panel=_OPTICS, metavar="nominal|quartiles", help="One, or the survey's spread."),
    ] = None,
    size: Annotated[
        int | None,
        _opt("--size", panel=_OPTICS, metavar="PIXELS", help="Side of a mock [default: all of it]."),
    ] = None,
    noise: Annotated[
        str | None,
        _opt(
            "--noise",
            panel=_NOISE,
            metavar="exact|gaussian|none",
            help="Poisson photons; their Gaussian limit where it holds; none [default: exact].",
        ),
    ] = None,
    sky: Annotated[
        str | None,
        _opt("--sky", panel=_NOISE, metavar="DATA", help="Blank cut-outs to put galaxies into."),
    ] = None,
    noise_correlation: Annotated[
        str | None,
        _opt(
            "--noise-correlation",
            panel=_NOISE,
            metavar="preset|none|bilinear|FILE",
            help="Autocorrelation of the coadd's noise.",
        ),
    ] = None,
    truth: Annotated[
        bool | None, _opt("--truth", panel=_NOISE, help="Keep the noiseless images too.")
    ] = None,
    redshift: Annotated[float | None, _opt("--redshift", panel=_PLACE, help="Redshift of the input.")] = None,
    to_redshift: Annotated[
        float | None, _opt("--to-redshift", panel=_PLACE, help="Redshift to move the galaxies to.")
    ] = None,
    k_correction: Annotated[
        str | None,
        _opt(
            "--k-correction",
            panel=_PLACE,
            metavar="matched|interpolate|none",
            help="Which input light the new redshift shows.",
        ),
    ] = None,
    pixel_scale_parsec: Annotated[
        float | None,
        _opt("--pixel-scale-pc", panel=_PLACE, metavar="PC", help="Physical pixel of the input [parsec]."),
    ] = None,
    labels: Labels = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    hdu: Hdu = None,
    on_error: OnError = None,
    scheduler: Annotated[
        str | None,
        _opt("--scheduler", panel=_WORK, metavar="ADDRESS", help="Dask cluster to use."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the time and disk it takes.", rich_help_panel=_WORK),
    ] = False,
) -> dict | Instead:
    """Observe images with a survey: PSF and pixels in one exact step, then photons, sky and detector noise.

    INPUT needs a physical unit and a pixel scale.  Beside OUT stand an account of every image
    (.images.jsonl), a manifest and a picture of galaxies before and after (.contact.png).  Faults (cosmic
    rays, bad columns, saturation, trails, JPEG) are set as in --set artifacts.cosmic_rays_per_megapixel=200.
    """
    if survey is None:
        raise _missing("--survey", "a preset of galshift list surveys, or a YAML file")
    if check:
        return _check(survey, _words(bands))
    if input is None or out is None:
        raise _missing("INPUT and OUT", EXAMPLES[0])
    values = {
        "input": input,
        "survey": survey,
        "pair": pair,
        "bands": _words(bands),
        "band_map": _mapping(band_map),
        "psf": psf,
        "input_psf": _number_or_text(input_psf),
        "seeing": seeing,
        "size": size,
        "noise": noise,
        "sky": sky,
        "noise_correlation": noise_correlation,
        "truth": truth,
        "redshift": redshift,
        "to_redshift": to_redshift,
        "k_correction": k_correction,
        "pixel_scale_parsec": pixel_scale_parsec,
        "read": reading(labels=labels, unit=unit, pixel_scale=pixel_scale, hdu=hdu, on_error=on_error),
    }
    return _estimate(values) if dry_run else {**values, "out": out, "scheduler": scheduler}


def _missing(what: str, hint: str) -> Exception:
    from galshift.errors import UsageError

    return UsageError(f"make-mocks needs {what}", hint=hint)


def _words(text: str | None) -> list[str] | None:
    return [word.strip() for word in text.split(",") if word.strip()] if text else None


def _mapping(text: str | None) -> dict[str, str] | None:
    """Read ``F814W=i,F606W=r``."""
    from galshift.errors import UsageError

    if text is None:
        return None
    pairs = [word.partition("=") for word in text.split(",")]
    if not all(old.strip() and equals and new.strip() for old, equals, new in pairs):
        raise UsageError(f"--band-map '{text}' is not INPUT=SURVEY,...", hint="for example F814W=i")
    return {old.strip(): new.strip() for old, _, new in pairs}


def _number_or_text(text: str | float | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _check(survey: str, bands: list[str] | None) -> Instead:
    """Measure the survey's own mocks."""

    def work(options: Options) -> dict:
        from galshift import surveys
        from galshift.mocks.selftest import as_json, check_survey

        checks = check_survey(surveys.load(survey), tuple(bands) if bands else None, seed=options.seed)
        return {"survey": survey, "passed": all(c.passed for c in checks), "bands": as_json(checks)}

    def show(found: dict) -> None:
        from galshift.mocks.selftest import COLUMNS, cells

        console.table(f"{survey}, measured on its own mocks", COLUMNS, cells(found["bands"]), to_stdout=True)
        if found["passed"]:
            console.say("all within tolerance")

    def trouble(found: dict) -> Exception | None:
        from galshift.errors import NumericalError

        out = ", ".join(row["band"] for row in found["bands"] if not row["passed"])
        return NumericalError(f"out of tolerance: {out}", where=survey) if out else None

    return Instead(work, show, trouble)


def _estimate(values: dict) -> Instead:
    """Time a few images, and say what all of them would take."""

    def work(options: Options) -> dict:
        from galshift.recipes.prepare import prepare
        from galshift.verbs.make_mocks.estimate import estimate

        given = {key: value for key, value in values.items() if value is not None}
        given = {**given, "seed": options.seed}
        config = prepare("make-mocks", given, overrides=options.set).config
        return estimate(config, options.device, options.workers)

    def show(found: dict) -> None:
        for row in found["estimates"]:
            console.result(f"{row['n']} images: {row['time']}, {row['disk']}")

    return Instead(work, show)
