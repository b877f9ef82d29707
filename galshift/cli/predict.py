"""Classify every image of a data set and write a table."""

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
    "galshift predict runs/adapt-1a2b3c4d sdss/ predictions.fits",
    "galshift predict runs/adapt-1a2b3c4d sdss/ predictions.csv --on-error skip",
)


@verb("predict", without=("workers", "seed"))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Images to classify.", show_default=False)],
    out: Annotated[
        str,
        typer.Argument(metavar="OUT", help="Table to write: .fits, .csv or .parquet.", show_default=False),
    ],
    labels: Labels = None,
    label_column: LabelColumn = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Classify every image: one row each, with the catalogue's columns passed through.

    Columns: id, group, data_set, split (train, valid or test where the run used the image), label,
    prediction, confidence, p_<class>, entropy [nat], flag (0 = good).  For a continuous label: label, value,
    value_sigma; for votes also observed_<class>, votes, concentration.
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
    return {"run": run, "data": data, "read": read}
