"""Suggest which galaxies to label next, to improve a classifier or to measure it."""

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
    "galshift suggest runs/adapt-1a2b3c4d sdss/ --budget 100",
    "galshift suggest runs/adapt-1a2b3c4d sdss/ --budget 400 --aim measure",
)


@verb("suggest", without=("workers",))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Images to choose from.", show_default=False)],
    budget: Annotated[int, typer.Option(min=1, help="How many galaxies can be labelled.")],
    aim: Annotated[
        str, typer.Option(metavar="improve|measure", help="Labels to train on, or to measure accuracy with.")
    ] = "improve",
    limit: Annotated[
        int | None, typer.Option(min=10, help="Look at no more images than this [default: 100000].")
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
    """Suggest which galaxies to label next.

    To improve: galaxies that the classifier is unsure of, one from each cluster of its features (CLUE).  To
    measure: a simple random sample, whose accuracy is that of the whole.  Galaxies that have a label are left
    out.  Writes suggest.csv, with a column to fill in, and report.html.
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
    return {"run": run, "data": data, "budget": budget, "aim": aim, "limit": limit, "read": read}
