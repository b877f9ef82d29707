"""What a user may tell a reader that the files do not say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer

from galshift.errors import UsageError
from galshift.types import Strict

Positive = Annotated[float, Field(gt=0)]


class ReadOptions(Strict):
    """How to read data that do not explain themselves; every field is optional.

    Attributes
    ----------
    reader : str or None
        Name of the reader (``galshift list readers``); None lets the file decide.
    labels : str or None
        A catalogue (CSV, ECSV, FITS, VOTable, parquet) with one row an image, or the name of a column of the
        data set's own table.
    label_column, id_column, group_column : str or None
        Columns of that catalogue: the class, the name to join on, the galaxy (field, tile) that the image
        shows.  ``sky:0.5deg`` as group column groups by cells of the sky, from ra and dec.
    vote_columns : tuple of str
        Columns with vote fractions instead of one class column; the classes are the columns' names.
    min_confidence : float
        Smallest winning vote fraction; images below it count as unlabelled.
    soft_labels : bool
        Keep the vote fractions, normalised to a sum of one, instead of the winner.
    label_kind : {"class", "value", "votes"}
        What a label is: a class; one or more numbers (``label_column``, several with commas); or how many
        people voted for each class (``vote_columns``).
    vote_total : str or float or None
        With ``votes``: the column with the number of votes, or that number.  Without it fractions count as
        40 votes, and columns that sum to more than one are counts already.
    unit : str or None
        astropy unit of one pixel, where no header says it (``nJy``, ``nanomaggy``, ``mag/arcsec2``).
    zero_point : float or dict or None
        AB magnitude of one count, for all bands or by band; the unit is then nJy.
    pixel_scale_arcsec : float or None
    bands : tuple of str
        Band names in the order of the band axis, or the bands to read where the file names them.
    hdu : int or str or None
        Number or name of the one FITS extension to read.
    pattern : str or None
        File names in a folder, such as ``{id}_{band}.fits``.
    classes_map : dict
        New names of classes (``{"Round": "smooth"}``); an empty name drops the class, ``*`` stands for all
        others.
    catalog, cutout_size : str or None
        Sky positions and the side (``12arcsec``, ``64pix``) of cut-outs from one large frame.
    on_error : {"raise", "skip"}
        What a file that cannot be read does: stop with an error, or be counted and left out.
    override : tuple of str
        Which of ``unit``, ``zero_point``, ``pixel_scale`` and ``bands`` are meant against what the files say.
    """

    reader: str | None = None
    labels: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    group_column: str | None = None
    vote_columns: tuple[str, ...] = ()
    min_confidence: float = Field(0.0, ge=0, le=1)
    soft_labels: bool = False
    label_kind: Literal["class", "value", "votes"] = "class"
    vote_total: str | Positive | None = None
    unit: str | None = None
    zero_point: float | dict[str, float] | None = None
    pixel_scale_arcsec: Positive | None = None
    bands: tuple[str, ...] = ()
    hdu: int | str | None = None
    pattern: str | None = None
    classes_map: dict[str, str] = Field(default_factory=dict)
    catalog: str | None = None
    cutout_size: str | None = None
    on_error: Literal["raise", "skip"] = "raise"
    override: tuple[Literal["unit", "zero_point", "pixel_scale", "bands"], ...] = ()

    @model_serializer(mode="wrap")
    def _brief(self, dump: Any) -> dict[str, Any]:
        # Options younger than the first runs stay out while they say nothing: old fingerprints go on.
        values = dump(self)
        if self.label_kind == "class":
            values.pop("label_kind", None)
        if self.vote_total is None:
            values.pop("vote_total", None)
        if not self.override:
            values.pop("override", None)
        return values


def parse_classes_map(words: str | None) -> dict[str, str]:
    """Return ``Round=smooth,Disk=features,*=`` as a dict.

    Raises
    ------
    UsageError
        When a part has no ``=``, or a class is named twice.
    """
    mapping: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in (words or "").split(","))):
        old, equals, new = part.partition("=")
        if not equals or not old.strip() or old.strip() in mapping:
            raise UsageError(
                f"'{part}' is not of the form old=new, each class once",
                where="--classes-map",
                hint="such as --classes-map Round=smooth,Disk=features,*= (an empty name drops a class)",
            )
        mapping[old.strip()] = new.strip()
    return mapping


def parse_zero_point(words: str | None) -> float | dict[str, float] | None:
    """Return ``27`` as a number, and ``g=27.1,r=26.9`` as one a band.

    Raises
    ------
    UsageError
        When it is neither.
    """
    if words is None:
        return None
    try:
        if "=" not in words:
            return float(words)
        pairs = (part.split("=") for part in words.split(",") if part.strip())
        return {band.strip(): float(value) for band, value in pairs}
    except ValueError:
        raise UsageError(
            f"'{words}' is not a zero point", where="--zero-point", hint="such as 27 or g=27.1,r=26.9 (AB)"
        ) from None


def mapped(label: str, mapping: Mapping[str, str]) -> str:
    """Return the new name of a class, or the empty text where the class is dropped."""
    return mapping.get(label, mapping.get("*", label)) if mapping else label
