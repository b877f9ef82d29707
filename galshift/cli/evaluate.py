"""Judge classifiers on images they never saw, with intervals and a report."""

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
    "galshift evaluate runs/adapt-1a2b3c4d",
    "galshift evaluate runs/train-1a2b3c4d runs/adapt-1a2b3c4d --on wide=sdss/ --labels votes.csv",
)
# `--on wide=sdss/ deep=stripe82.h5` names two data sets.
SEVERAL = ("--on",)


@verb("evaluate", without=("workers",))
def command(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run directories; name=RUN names one.", show_default=False),
    ],
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA...",
            help="Data sets to judge on; name=DATA names one [default: held-out images].",
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples of galaxies for 95 % intervals; 0 for none.")
    ] = 1000,
    samples: Annotated[int, typer.Option(min=0, help="Images of each data set in the report.")] = 24,
    labels: Labels = None,
    label_column: LabelColumn = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Judge classifiers side by side on images that none of them saw.

    Without --on: the source and target images that the runs set aside.  An adapted run is compared with its
    source-only companion.  A data set without labels gets no accuracy, but what can be said without.
    Writes metrics.json, predictions.fits and report.html.
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
    return {"runs": runs, "on": on, "n_bootstrap": bootstrap, "samples": samples, "read": read}
