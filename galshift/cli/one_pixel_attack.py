"""Search for one-pixel detector faults that fool a model, and certify what holds."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import names_of, verb
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
    "galshift one-pixel-attack runs/adapt-1a2b3c4d target.h5 --limit 100",
    "galshift one-pixel-attack runs/adapt-1a2b3c4d target.h5 --compare runs/train-5e6f7a8b --fault cosmic",
)


@verb("one-pixel-attack", without=("workers",))
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run whose model is attacked.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images.")],
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN2", help="Another run, attacked on the same images; repeatable."),
    ] = None,
    fault: Annotated[
        str,
        typer.Option(
            metavar="rgb|hot|dead|saturated|cosmic", help="What strikes.", autocompletion=names_of("faults")
        ),
    ] = "rgb",
    search: Annotated[
        str, typer.Option(metavar="exhaustive|de|gradient", help="How to search.")
    ] = "exhaustive",
    limit: Annotated[int | None, typer.Option(min=1, help="Attack at most so many images.")] = None,
    pixels: Annotated[int, typer.Option(min=1, help="Pixels that may change.")] = 1,
    target: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Class to reach [default: any wrong one].")
    ] = None,
    survey: Annotated[
        str | None,
        typer.Option(
            help="Preset with the electrons of one nJy [default: the data's own].",
            autocompletion=names_of("surveys"),
        ),
    ] = None,
    save_images: Annotated[
        bool, typer.Option("--save-images", help="Keep the images in attack.fits.")
    ] = False,
    labels: Labels = None,
    label_column: LabelColumn = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Search for detector faults of one or a few pixels that change what a model says of an image.

    The default search tries every pixel with every value of a stated grid: an image that survives is
    certified for that grid.  Faults in electrons (hot, dead, saturated, cosmic) strike before the model's
    own stretch. Only correctly classified images are attacked.  An interrupted search resumes with the same
    command.
    """
    return {
        "run": run,
        "data": data,
        "compare": compare,
        "fault": fault,
        "search": search,
        "limit": limit,
        "pixels": pixels,
        "target": target,
        "survey": survey,
        "save_images": save_images or None,
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
