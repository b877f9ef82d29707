"""Train a classifier on labelled images."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import names_of, verb
from galshift.cli._reading import (
    Bands,
    ClassesMap,
    Hdu,
    LabelColumn,
    LabelKind,
    Labels,
    OnError,
    PixelScale,
    Unit,
    Votes,
    VoteTotal,
    reading,
)
from galshift.cli._training import CheckpointEvery, Observe, Track, training

EXAMPLES = (
    "galshift train sim.h5 --model resnet18 --epochs 30",
    "galshift train galaxies.h5 --label-kind value --label-column redshift",
)


@verb("train", without=("workers",))
def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images.", show_default=False)],
    model: Annotated[
        str, typer.Option(help="Network; see galshift list models.", autocompletion=names_of("models"))
    ] = "deepmerge",
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs in all.")] = None,
    init: Annotated[
        str | None, typer.Option(metavar="RUN", help="Start from the weights of another run.")
    ] = None,
    observe: Observe = None,
    checkpoint_every: CheckpointEvery = None,
    track: Track = None,
    labels: Labels = None,
    label_column: LabelColumn = None,
    label_kind: LabelKind = None,
    votes: Votes = None,
    vote_total: VoteTotal = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Train a classifier on labelled images and keep the epoch with the lowest validation loss.

    Labels are classes, or numbers with an error bar each (--label-kind value --label-column redshift), or the
    votes of people (--votes smooth,disk --vote-total n_votes).

    Galaxies are split into training, validation and test parts; images of one galaxy stay together.  On
    several GPUs: torchrun --nproc-per-node N -m galshift train ...
    """
    return {
        "data": data,
        "model": model,
        "training.epochs": epochs,
        "observe.survey": observe,
        **training(checkpoint_every, track),
        "init": init,
        "read": reading(
            labels=labels,
            label_column=label_column,
            label_kind=label_kind,
            votes=votes,
            vote_total=vote_total,
            classes_map=classes_map,
            unit=unit,
            pixel_scale=pixel_scale,
            bands=bands,
            hdu=hdu,
            on_error=on_error,
        ),
    }
