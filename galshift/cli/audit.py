"""Damage images as surveys do, and count what stays right before and after adaptation."""

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
    "galshift audit runs/adapt-1a2b3c4d target.h5",
    "galshift audit runs/adapt-1a2b3c4d target.h5 --corruption jpeg --corruption rice --limit 200",
)


@verb("audit", without=("workers",))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run whose model is audited.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images.")],
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN2", help="Another run, on the same damaged images; repeatable."),
    ] = None,
    corruption: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Kind of damage; repeatable [default: all]."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Damage at most so many images.")] = None,
    labels: Labels = None,
    label_column: LabelColumn = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Damage images as surveys do, five severities of each kind, and count what stays right.

    Noise, blur, sky residuals, astrometric errors, rotation, dropped pixels, bad columns, satellite trails,
    JPEG and fpack compression, gain errors and saturation, each before the model's own stretch. An adapted
    run is compared with its source-only companion on the same damaged images. Writes audit.json and
    report.html.
    """
    return {
        "run": run,
        "data": data,
        "compare": compare,
        "corruptions": corruption,
        "limit": limit,
        "read": reading(
            labels=labels,
            label_column=label_column,
            classes_map=classes_map,
            unit=unit,
            pixel_scale=pixel_scale,
            bands=bands,
            hdu=hdu,
            on_error=on_error,
        ),
    }
