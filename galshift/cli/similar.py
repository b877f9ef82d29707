"""Find the galaxies most like one galaxy."""

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
    "galshift similar runs/adapt-1a2b3c4d sdss/ J101217.5",
    "galshift similar runs/adapt-1a2b3c4d sdss/ J101217.5 --among sim.h5 -n 50",
)

# `--among sim.h5 sdss/` names two data sets.
SEVERAL = ("--among",)


@verb("similar", without=("workers",))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="The data set with the galaxy.", show_default=False)
    ],
    id: Annotated[str, typer.Argument(metavar="ID", help="The image's name.", show_default=False)],
    among: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA...", help="Data sets to search [default: the galaxy's own]."),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="How many galaxies.")] = 24,
    limit: Annotated[
        int | None, typer.Option(min=10, help="Look at no more images of each set [default: 50000].")
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
    """Find the galaxies most like one galaxy, by the features that a classifier decides on.

    Each galaxy is given once, and the asked one's other views do not count.  Writes similar.fits and
    report.html with their pictures, and says how alone the galaxy stands.
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
    return {"run": run, "data": data, "id": id, "among": among, "n": n, "limit": limit, "read": read}
