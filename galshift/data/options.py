"""What a user may tell a reader that the files do not say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer

from galshift.errors import UsageError
from galshift.types import Strict

Positive = Annotated[float, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

_MOST_BITS = 63

#: Options younger than the first runs.  They stay out of what is dumped while they are at their default, so
#: that the fingerprints of older runs, which know nothing of them, go on.
YOUNGER = (
    "label_kind",
    "vote_total",
    "override",
    "roles",
    "label_bins",
    "where",
    "common_ids",
    "match_radius_arcsec",
    "psf",
    "psf_pixel_scale_arcsec",
    "mask_bits",
    "weights",
    "blank",
)


class ReadOptions(Strict):
    """How to read data that do not explain themselves; every field is optional.

    Each field is an option of every verb that reads data, under its own name or a shorter one (see
    :mod:`galshift.verbs._options`).
    """

    reader: str | None = Field(
        None, description="Name of the reader (galshift list readers); by default the file decides."
    )
    labels: str | None = Field(
        None, description="Catalogue with labels, one row an image, or a column of the data's own table."
    )
    label_column: str | None = Field(
        None, description="Column of the label; several, with commas, for continuous ones."
    )
    id_column: str | None = Field(None, description="Column of the catalogue with the images' names.")
    group_column: str | None = Field(
        None, description="Column with the galaxy, field or tile; sky:1deg groups by cells of the sky."
    )
    vote_columns: tuple[str, ...] = Field(
        (), description="Columns with vote fractions or counts, one a class."
    )
    min_confidence: float = Field(
        0.0, ge=0, le=1, description="Smallest fraction of the votes that a label's winner needs."
    )
    soft_labels: bool = Field(False, description="Keep the vote fractions instead of the winner.")
    label_kind: Literal["class", "value", "votes"] = Field(
        "class", description="What labels are: a class, numbers such as a redshift, or votes for classes."
    )
    vote_total: str | Positive | None = Field(
        None, description="Number of votes, or its column; fractions alone count as 40."
    )
    label_bins: tuple[float, ...] = Field(
        (),
        description="Edges that cut a column of numbers into classes, such as 0,0.3,0.7,1.",
    )
    where: str | None = Field(
        None, description="Rows of the catalogue to use, such as 'p_smooth > 0.8 and z < 0.1'."
    )
    common_ids: bool = Field(False, description="Images of one id in source and target are one galaxy.")
    match_radius_arcsec: Positive | None = Field(
        None, description="Galaxies of source and target this near on the sky are the same [arcsec]."
    )
    unit: str | None = Field(
        None, description="Unit of one pixel where no header says it, such as nJy or nanomaggy."
    )
    zero_point: float | dict[str, float] | None = Field(
        None, description="AB magnitude of one count, for all bands or by band; the unit is then nJy."
    )
    pixel_scale_arcsec: Positive | None = Field(None, description="Pixel scale [arcsec / pixel].")
    bands: tuple[str, ...] = Field(
        (), description="Bands in the order of the band axis, or those to read where the file names them."
    )
    hdu: int | str | None = Field(None, description="Number or name of the one FITS extension to read.")
    roles: dict[str, Literal["image", "error", "variance", "weight", "mask", "psf", "ignore"]] = Field(
        default_factory=dict,
        description="What FITS extensions are, by name, pattern or number: image, error, variance, weight "
        "(inverse variance), mask, psf or ignore; * is for those whose name is not known.",
    )
    psf: str | None = Field(None, description="A PSF file of the images, or its FWHM [arcsec].")
    psf_pixel_scale_arcsec: Positive | None = Field(
        None, description="Pixel scale of that PSF file; default: what its header states [arcsec / pixel]."
    )
    mask_bits: str | None = Field(
        None,
        description="Bits of a mask that spoil a pixel, such as 0,1,12 (0 is the lowest), or their value as "
        "0x1003; goes before what header or mission say.",
    )
    weights: str | None = Field(
        None,
        description="A .npy of inverse variances [unit^-2], in the order and shape of images in one array.",
    )
    blank: Finite | None = Field(
        None,
        description="Value of pixels that hold no data, such as 0, in the unit that the images are read in; "
        "they are masked, as those that are not a number always are.",
    )
    pattern: str | None = Field(None, description="File names in a folder, such as {id}_{band}.fits.")
    classes_map: dict[str, str] = Field(
        default_factory=dict,
        description="Rename classes; an empty name drops one, S* is all in S, * all others.",
    )
    catalog: str | None = Field(None, description="Sky positions to cut out of one large frame.")
    cutout_size: str | None = Field(None, description="Side of those cut-outs.")
    on_error: Literal["raise", "skip"] = Field(
        "raise", description="What a file that cannot be read does: stop, or be counted and left out."
    )
    override: tuple[Literal["unit", "zero_point", "pixel_scale", "bands", "psf", "weights"], ...] = Field(
        (),
        description="What is declared in spite of what the files say: unit, zero_point, pixel_scale, bands, "
        "psf, weights.",
    )

    @field_validator("psf", mode="before")
    @classmethod
    def _psf_in_words(cls, psf: Any) -> Any:
        number = isinstance(psf, int | float) and not isinstance(psf, bool)
        word = f"{psf:.15g}" if number else psf
        try:
            fwhm = float(word)
        except (TypeError, ValueError):
            return word
        if not 0 < fwhm < float("inf"):
            raise ValueError("the FWHM of a PSF is above 0 arcsec")
        return word

    @field_validator("mask_bits", mode="before")
    @classmethod
    def _bits_in_words(cls, bits: Any) -> Any:
        if isinstance(bits, list | tuple):
            bits = ",".join(map(str, bits))
        if isinstance(bits, str):
            bits_value(bits)
        elif bits is not None:
            raise ValueError("numbers of bits are a list such as [0, 1, 12], their value a text: '0x1003'")
        return bits

    @field_validator("label_bins", mode="before")
    @classmethod
    def _edges_in_words(cls, edges: Any) -> Any:
        return [word for word in edges.split(",") if word.strip()] if isinstance(edges, str) else edges

    @field_validator("label_bins")
    @classmethod
    def _increasing(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(edges)):
            raise ValueError("edges of bins must increase, such as 0,0.3,0.7,1")
        return edges

    @model_serializer(mode="wrap")
    def _brief(self, dump: Any) -> dict[str, Any]:
        values = dump(self)
        for name in YOUNGER:
            if getattr(self, name) == type(self).model_fields[name].get_default(call_default_factory=True):
                values.pop(name, None)
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


def bits_value(words: str) -> int:
    """Return the value of bits stated as their numbers, ``0,1,12``, or as a hexadecimal value, ``0x1003``.

    Raises
    ------
    ValueError
        When it is neither, or names no bit or one beyond 62.
    """
    try:
        if words.strip().lower().startswith("0x"):
            value = int(words, 16)
        else:
            value = sum(1 << bit for bit in {int(word) for word in words.split(",") if word.strip()})
    except (ValueError, OverflowError):
        value = 0
    if not 0 < value < 1 << _MOST_BITS:
        raise ValueError(
            f"'{words}' names no bits of a mask: such as 0,1,12 (0 is the lowest, 62 the highest), "
            "or their value as 0x1003"
        )
    return value


def mapped(label: str, mapping: Mapping[str, str]) -> str:
    """Return the new name of a class, or the empty text where the class is dropped.

    The class by its name comes first, then the first pattern (``Round*``, ``?``) that fits, then ``*``.
    """
    return mapping.get(key, label) if (key := mapping_key(label, mapping)) is not None else label


def mapping_key(label: str, mapping: Mapping[str, str]) -> str | None:
    """Return the name or pattern of `mapping` that a class falls under, None where there is none."""
    if label in mapping:
        return label
    patterns = (key for key in mapping if key != "*" and any(sign in key for sign in "*?["))
    found = next((key for key in patterns if fnmatchcase(label, key)), None)
    return found if found is not None else ("*" if "*" in mapping else None)
