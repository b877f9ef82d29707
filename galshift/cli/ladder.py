"""Say which step of realism brings simulated galaxies closer to real ones."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import names_of, verb
from galshift.cli._reading import Bands, Hdu, OnError, PixelScale, Unit, reading

EXAMPLES = (
    "galshift ladder sim.h5 sdss/ --survey sdss",
    "galshift ladder sim.h5 decals/ --survey decals --model runs/adapt-1a2b3c4d --on-error skip",
)


@verb("ladder", without=("workers",))
def command(
    sim: Annotated[str, typer.Argument(metavar="SIM", help="Idealised images.", show_default=False)],
    real: Annotated[str, typer.Argument(metavar="REAL", help="Images of the survey.", show_default=False)],
    survey: Annotated[
        str, typer.Option(help="Preset of that survey, or a YAML file.", autocompletion=names_of("surveys"))
    ],
    model: Annotated[
        str | None, typer.Option(metavar="RUN", help="Compare in the features of this model, too.")
    ] = None,
    sky: Annotated[
        str | None, typer.Option(metavar="FILE", help="Blank sky of the survey, as the last step.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=20, help="At most so many galaxies of each set [default: 200].")
    ] = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Say which step of realism brings simulated galaxies closer to real ones.

    Observes SIM step by step (PSF and pixels, noise, its correlation, varying seeing, real sky), measures
    every step and REAL, and says how far apart they are, in what, and what is still missing.  The options of
    reading go for REAL (for SIM: --set read.unit=nJy).  Writes ladder.json and report.html.
    """
    read = reading(unit=unit, pixel_scale=pixel_scale, bands=bands, hdu=hdu, on_error=on_error)
    return {
        "sim": sim,
        "real": real,
        "survey": survey,
        "model": model,
        "sky": sky,
        "limit": limit,
        "read_real": read,
    }
