"""Say how far apart two data sets are, and in what."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import verb
from galshift.cli._reading import (
    Bands,
    ClassesMap,
    Hdu,
    LabelColumn,
    Labels,
    OnError,
    PixelScale,
    Unit,
    reading,
)

EXAMPLES = (
    "galshift gap sim.h5 sdss/",
    "galshift gap mocks=sim.h5 wide=sdss/ --model runs/adapt-1a2b3c4d",
)


@verb("gap", without=("workers",))
def command(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A data set; name=DATA names it.", show_default=False)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another data set.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(metavar="RUN", help="Compare in the features of this model, too.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=20, help="At most so many galaxies of each set [default: 500].")
    ] = None,
    labels: Labels = None,
    label_column: LabelColumn = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Say how far apart two data sets are, and in what.

    Measures noise, light, colour, size and shape in both and ranks what differs; says how well the two can be
    told apart by that and, with --model, by the features that a model decides on.  Labels play no part.
    Writes gap.json, measurements.fits and report.html.
    """
    read = reading(
        labels=labels,
        label_column=label_column,
        classes_map=classes_map,
        unit=unit,
        pixel_scale=pixel_scale,
        bands=bands,
        hdu=hdu,
        on_error=on_error,
    )
    return {"a": a, "b": b, "model": model, "limit": limit, "read": read}
