"""Adapt a classifier to a target survey without its labels."""

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
    "galshift adapt sim.h5 sdss/ --seeds 3",
    "galshift adapt sim.h5 sdss/ --method coral --label-kind value --label-column redshift",
)


@verb("adapt", without=("workers",))
def command(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Labelled images.", show_default=False)],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="Images to adapt to; their labels are not used.", show_default=False
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            help="See galshift list methods; auto tries several and chooses without target labels.",
            autocompletion=names_of("methods"),
        ),
    ] = "auto",
    model: Annotated[
        str, typer.Option(help="Network; see galshift list models.", autocompletion=names_of("models"))
    ] = "deepmerge",
    init: Annotated[
        str | None, typer.Option(metavar="RUN", help="Start from the weights of another run.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs in all, the warm-up included.")] = None,
    select: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What chooses the epoch, and auto's method; see galshift list selectors.",
            autocompletion=names_of("selectors"),
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Repeat for a mean and an interval.")] = 1,
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
    """Train on the source and align to the target, whose labels are never used.

    A source-only network is trained beside it with the same augmentation, and both are judged on galaxies
    that neither saw.  Continuous labels (--label-kind value) need a method that does without classes, such as
    coral, sinkhorn or deepjdot; votes (--votes) go with all.  Labels and class names are the source's; units,
    scales, bands and HDU go for both (for the target alone: --set read_target.unit=nJy).  On several GPUs:
    torchrun --nproc-per-node N -m galshift adapt ...
    """
    shared = reading(unit=unit, pixel_scale=pixel_scale, bands=bands, hdu=hdu, on_error=on_error)
    own = reading(
        labels=labels,
        label_column=label_column,
        label_kind=label_kind,
        votes=votes,
        vote_total=vote_total,
        classes_map=classes_map,
    )
    return {
        "source": source,
        "target": target,
        "method": method,
        "model": model,
        "init": init,
        "training.epochs": epochs,
        "training.select": select,
        "observe.survey": observe,
        **training(checkpoint_every, track),
        "seeds": seeds,
        "read": {**shared, **own},
        "read_target": shared,
    }
