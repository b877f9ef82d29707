"""Options of the verbs with a training loop."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from galshift.cli._common import names_of

CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-every", metavar="SECONDS", help="The most time [s] that a kill can cost; default 300."
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track", metavar="tensorboard|mlflow", help="Log there too; metrics.jsonl is always written."
    ),
]
Observe = Annotated[
    str | None,
    typer.Option(
        "--observe",
        metavar="SURVEY",
        help="Show noise-free labelled galaxies as this survey does, anew at every draw.",
        autocompletion=names_of("surveys"),
    ),
]


def training(checkpoint_every: float | None, track: list[str] | None) -> dict[str, Any]:
    """Return the config values of the options that change no number; None where nothing was said."""
    return {
        "training.checkpoint_every_s": checkpoint_every,
        "training.track": list(track) if track else None,
    }
