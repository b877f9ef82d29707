"""Options of the verbs that read data: what files do not say themselves."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Reading the data"

Labels = Annotated[
    str | None,
    typer.Option(
        "--labels", metavar="FILE|COLUMN", help="Catalogue with labels, or a column.", rich_help_panel=_PANEL
    ),
]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Column of the label.", rich_help_panel=_PANEL)
]
LabelKind = Annotated[
    str | None,
    typer.Option(
        "--label-kind",
        metavar="class|value|votes",
        help="What labels are: a class, a number such as a redshift, or votes for classes.",
        rich_help_panel=_PANEL,
    ),
]
Votes = Annotated[
    str | None,
    typer.Option(
        "--votes",
        metavar="COLUMN,...",
        help="Columns with vote fractions or counts, one a class.",
        rich_help_panel=_PANEL,
    ),
]
VoteTotal = Annotated[
    str | None,
    typer.Option(
        "--vote-total",
        metavar="COLUMN|N",
        help="Number of votes; fractions alone count as 40.",
        rich_help_panel=_PANEL,
    ),
]
ClassesMap = Annotated[
    str | None,
    typer.Option(
        "--classes-map",
        metavar="OLD=NEW,...",
        help="Rename classes; an empty name drops one, * stands for all others.",
        rich_help_panel=_PANEL,
    ),
]
Unit = Annotated[
    str | None, typer.Option("--unit", help="Unit of one pixel, such as nJy.", rich_help_panel=_PANEL)
]
PixelScale = Annotated[
    float | None, typer.Option("--pixel-scale", help="Pixel scale [arcsec / pixel].", rich_help_panel=_PANEL)
]
Bands = Annotated[
    str | None, typer.Option("--bands", metavar="g,r,i", help="Bands, in order.", rich_help_panel=_PANEL)
]
Hdu = Annotated[
    str | None, typer.Option("--hdu", metavar="N|NAME", help="FITS extension.", rich_help_panel=_PANEL)
]
OnError = Annotated[
    str | None,
    typer.Option(
        "--on-error", metavar="raise|skip", help="What an unreadable file does.", rich_help_panel=_PANEL
    ),
]


def reading(
    *,
    labels: str | None = None,
    label_column: str | None = None,
    classes_map: str | None = None,
    unit: str | None = None,
    pixel_scale: float | None = None,
    bands: str | None = None,
    hdu: str | None = None,
    on_error: str | None = None,
    label_kind: str | None = None,
    votes: str | None = None,
    vote_total: str | None = None,
) -> dict[str, object]:
    """Return the values of a ``ReadOptions`` that these options give; what was not said is left out."""
    values: dict[str, object] = {
        "labels": labels,
        "label_column": label_column,
        "unit": unit,
        "pixel_scale_arcsec": pixel_scale,
        "bands": [band.strip() for band in bands.split(",")] if bands else None,
        "hdu": int(hdu) if hdu and hdu.isdigit() else hdu,
        "on_error": on_error,
        "label_kind": label_kind or ("votes" if votes else None),
        "vote_columns": [word.strip() for word in votes.split(",")] if votes else None,
        "vote_total": vote_total,
    }
    if classes_map:
        from galshift.data.options import parse_classes_map

        values["classes_map"] = parse_classes_map(classes_map)
    return {key: value for key, value in values.items() if value is not None}
