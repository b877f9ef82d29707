"""Pack images of any kind into one HDF5 file that trains fast."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import OutArgument, verb
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
    VoteTotal,
    reading,
)
from galshift.errors import UsageError

EXAMPLES = (
    "galshift pack sdss/ sdss.h5 --labels votes.csv --workers 4 --on-error skip",
    "galshift pack positions.fits cutouts.h5 --cutouts-from frame.fits --size 12arcsec",
)

_PANEL = "Reading the data"


@verb("pack", without=("device", "seed"))
def command(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Images; with --cutouts-from, the catalogue of positions.",
            show_default=False,
        ),
    ],
    out: OutArgument,
    cutouts_from: Annotated[
        str | None,
        typer.Option(metavar="FRAME", rich_help_panel=_PANEL, help="Frame to cut DATA's positions out of."),
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option(metavar="FILE", rich_help_panel=_PANEL, help="Sky positions to cut from DATA, a frame."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="12arcsec|64pix", rich_help_panel=_PANEL, help="Side of those cut-outs."),
    ] = None,
    labels: Labels = None,
    label_column: LabelColumn = None,
    label_kind: LabelKind = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="NAME", rich_help_panel=_PANEL, help="Column with image names.")
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|sky:1deg", rich_help_panel=_PANEL, help="Column with the galaxy or field."
        ),
    ] = None,
    classes_map: ClassesMap = None,
    unit: Unit = None,
    pixel_scale: PixelScale = None,
    bands: Bands = None,
    zero_point: Annotated[
        str | None,
        typer.Option(
            metavar="MAG|g=MAG,...", rich_help_panel=_PANEL, help="AB magnitude of one count; makes nJy."
        ),
    ] = None,
    votes: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,...", rich_help_panel=_PANEL, help="Columns with vote fractions, one a class."
        ),
    ] = None,
    vote_total: VoteTotal = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, rich_help_panel=_PANEL, help="Smallest winning fraction of a label."),
    ] = None,
    soft_labels: Annotated[
        bool, typer.Option("--soft-labels", rich_help_panel=_PANEL, help="Keep the vote fractions.")
    ] = False,
    hdu: Hdu = None,
    pattern: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", rich_help_panel=_PANEL, help="File names, as {id}_{band}.fits."),
    ] = None,
    on_error: OnError = None,
) -> dict:
    """Decode every image once and write them, with labels, groups, masks and catalogue, to one HDF5 file.

    An interrupted run goes on where it stopped when the same command is given again.  The file is the same
    however many --workers make it.
    """
    from galshift.data.options import parse_zero_point

    read = reading(
        labels=labels,
        label_column=label_column,
        label_kind=label_kind or ("votes" if vote_total else None),
        vote_total=vote_total,
        classes_map=classes_map,
        unit=unit,
        pixel_scale=pixel_scale,
        bands=bands,
        hdu=hdu,
        on_error=on_error,
    )
    if cutouts_from is not None:
        if catalog not in (None, data):
            raise UsageError(
                f"the positions are given twice, as {data} and as {catalog}",
                where="--catalog",
                hint="such as: galshift pack positions.fits OUT.h5 --cutouts-from frame.fits --size 12arcsec",
            )
        data, catalog = cutouts_from, data
    own = {
        "id_column": id_column,
        "group_column": group_column,
        "pattern": pattern,
        "catalog": catalog,
        "cutout_size": size,
        "zero_point": parse_zero_point(zero_point),
        "vote_columns": [word.strip() for word in votes.split(",")] if votes else None,
        "min_confidence": min_confidence,
        "soft_labels": soft_labels or None,
    }
    return {"data": data, "read": {**read, **{key: value for key, value in own.items() if value is not None}}}
