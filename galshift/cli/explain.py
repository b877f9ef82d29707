"""Show where a classifier looks, with scores that say whether to believe it."""

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
    "galshift explain runs/adapt-1a2b3c4d sdss/",
    "galshift explain runs/adapt-1a2b3c4d sim.h5 wide=sdss/ --limit 1000",
)


@verb("explain", without=("workers",))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA...", help="Data sets; name=DATA names one.", show_default=False),
    ],
    explain: Annotated[
        str,
        typer.Option(
            "--class", metavar="predicted|true", help="Whose evidence: the answer's or the label's."
        ),
    ] = "predicted",
    layer: Annotated[
        str | None, typer.Option(help="Layer to read [default: the last of at least 7 x 7 pixels].")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many images of each data set [default: 300].")
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
    """Show where a classifier looks, with scores that say whether to believe it.

    Draws Grad-CAM maps; says how much of their weight lies on the galaxy, on neighbours, on sky and at the
    edge; and whether the maps change when the network's weights are replaced by noise.  Writes explain.json,
    explain.fits (scores and maps) and report.html.
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
    return {"run": run, "data": data, "explain": explain, "layer": layer, "limit": limit, "read": read}
