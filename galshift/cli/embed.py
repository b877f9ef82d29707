"""Map galaxies in a classifier's feature space, with pictures and the odd ones."""

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
    "galshift embed runs/adapt-1a2b3c4d sim.h5 sdss/",
    "galshift embed runs/adapt-1a2b3c4d sim.h5 wide=sdss/ --reduce tsne",
)


def _reducers(incomplete: str) -> list[str]:
    from galshift.embedding.reducers import REDUCERS

    return [name for name in REDUCERS.names() if name.startswith(incomplete)]


@verb("embed", without=("workers",))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA...", help="Data sets; name=DATA names one.", show_default=False),
    ],
    reduce: Annotated[
        str,
        typer.Option(
            metavar="pca|tsne|isomap|umap", help="How to draw the features.", autocompletion=_reducers
        ),
    ] = "pca",
    limit: Annotated[
        int | None, typer.Option(min=10, help="At most so many galaxies of each data set.")
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
    """Map galaxies by the features that a classifier decides on.

    Writes embedding.fits (predictions, anomaly scores, x, y) and explorer.html, one file that works offline:
    hover for pictures, colour by any column, lasso, export.  pca is linear and quick; tsne and umap show
    neighbourhoods; whether data sets mix is measured in feature space, never on the map.
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
    return {"run": run, "data": data, "reduce": reduce, "limit": limit, "read": read}
