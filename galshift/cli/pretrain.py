"""Pre-train a vision transformer on unlabelled images, to start train or adapt from."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import verb
from galshift.cli._reading import Bands, Hdu, OnError, PixelScale, Unit, reading
from galshift.cli._training import CheckpointEvery, Track, training

EXAMPLES = (
    "galshift pretrain sim.h5 sdss/",
    "galshift pretrain sdss/ decals/ --epochs 200 --set model.patch=4",
)


@verb("pretrain", without=("workers",))
def command(
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA...", help="Images; their labels are not used.", show_default=False),
    ],
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs in all; default 100.")] = None,
    checkpoint_every: CheckpointEvery = None,
    track: Track = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    hdu: Hdu = None,
    on_error: OnError = None,
) -> dict:
    """Teach a vision transformer to fill in hidden patches of unlabelled images, and keep the encoder.

    Give images of both surveys: what is learnt from them without labels is where train or adapt starts with
    --init.  A masked autoencoder (He et al. 2022).
    """
    return {
        "data": list(data),
        "training.epochs": epochs,
        **training(checkpoint_every, track),
        "read": reading(unit=unit, pixel_scale=pixel_scale, bands=bands, hdu=hdu, on_error=on_error),
    }
