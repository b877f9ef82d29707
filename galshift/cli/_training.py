"""Options that every verb with a training loop has; they change no number."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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


def training(checkpoint_every: float | None, track: list[str] | None) -> dict[str, Any]:
    """Return the config values of these options; None where nothing was said."""
    return {
        "training.checkpoint_every_s": checkpoint_every,
        "training.track": list(track) if track else None,
    }
