"""Make idealised mergers, spirals and ellipticals, so that everything runs with nothing downloaded."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import OutArgument, verb

EXAMPLES = (
    "galshift simulate galaxies.h5 --n 600 --views 4",
    "galshift simulate held-back.h5 --n 60 --classes edge-on,barred,lens --bands g,r,i,z",
)


@verb("simulate", without=("device", "workers"))
def command(
    out: OutArgument,
    n: Annotated[int, typer.Option("--n", min=1, help="Galaxies; there are n x views images.")] = 600,
    classes: Annotated[
        str, typer.Option(metavar="NAME,...", help="Classes, in the order of the labels.")
    ] = "merger,spiral,elliptical",
    views: Annotated[int, typer.Option(min=1, help="Cameras per galaxy.")] = 1,
    size: Annotated[int, typer.Option(min=16, help="Pixels along a side.")] = 96,
    bands: Annotated[str, typer.Option(metavar="BAND,...", help="Bands, of u g r i z y.")] = "g,r,i",
    redshift: Annotated[float, typer.Option(help="Redshift at which the galaxies stand.")] = 0.12,
    pixel_scale: Annotated[
        float | None,
        typer.Option(metavar="ARCSEC", help="arcsec per pixel [default: 28.8 / size].", show_default=False),
    ] = None,
) -> dict:
    """Make noise-free images of idealised galaxies with labels, in nJy, without a PSF.

    Classes: merger (restricted three-body encounters with tails and bridges), spiral, elliptical; and, for
    studies that hold a class back, edge-on, barred and lens.  The views of one galaxy share its group.
    """
    return {
        "n": n,
        "classes": _words(classes),
        "views": views,
        "size": size,
        "bands": _words(bands),
        "redshift": redshift,
        "pixel_scale_arcsec": pixel_scale,
    }


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
