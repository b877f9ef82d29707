"""What a user may choose about what the network sees: preprocessing and augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from galshift.types import Grown, Strict


class PreprocessConfig(Grown):
    """What the user may choose about preprocessing; the rest is fitted.

    Attributes
    ----------
    stretch : str
        ``auto`` is ``asinh`` for fluxes and ``linear`` for pictures, which are stretched already.
    softening : float
        Of the asinh stretch, in units of the training pixels' sky sigma.
    size : int or None
        Side of the network's input in pixels; None takes the source's (pictures: at most 128).
    pixel_scale_arcsec : float or None
        Common pixel scale; None takes the source's (the median where it varies).
    bands : list of str
        Bands to use, in order; empty takes the source's.
    normalise : tuple of float or None
        What stretched pictures have subtracted, and what they are divided by, instead of the mean and the
        spread of the training pixels.  Fluxes, whose range is their unit's, are always measured.
    sky : str
        What is taken off every image: nothing (``as-is``), the median of its border by band (``level``), or
        the plane that fits its border by band (``plane``).  ``auto`` is the one of them that brings source
        and target together where their skies differ by more than half the noise, else ``as-is``.
    """

    newer: ClassVar[Mapping[str, Any]] = {"normalise": None, "sky": "auto"}

    stretch: Literal["auto", "asinh", "sky-sigma", "percentile", "lupton", "linear"] = "auto"
    softening: float = Field(1.0, gt=0)
    size: Annotated[int, Field(ge=8, le=4096)] | None = None
    pixel_scale_arcsec: Annotated[float, Field(gt=0)] | None = None
    bands: list[str] = Field(default_factory=list)
    normalise: tuple[float, Annotated[float, Field(gt=0)]] | None = None
    sky: Literal["auto", "as-is", "level", "plane"] = "auto"


class AugmentConfig(Strict):
    """Which changes an image of the same galaxy may undergo; each image draws its own.

    Attributes
    ----------
    dihedral : bool
        One of the 8 flips and quarter turns.
    shift_px : float
        Largest sub-pixel shift along each axis, drawn uniformly.
    zoom : float
        Largest relative change of angular size (0.1: 0.9 to 1.1); surface brightness is kept.
    flux_jitter : float
        Spread of ln(flux), one factor for all bands.
    color_jitter : float
        Spread of ln(flux) band by band.
    noise : tuple of float
        Range of the added Gaussian noise's sigma in units of `noise_scale`, drawn log-uniformly above a
        floor of a twentieth of the upper end; (0, 0) adds none.
    blur_px : float
        Largest sigma of an added Gaussian blur, drawn uniformly.
    """

    dihedral: bool = True
    shift_px: float = Field(1.0, ge=0)
    zoom: float = Field(0.0, ge=0, lt=0.9)
    flux_jitter: float = Field(0.05, ge=0)
    color_jitter: float = Field(0.0, ge=0)
    noise: tuple[float, float] = (0.0, 3.0)
    blur_px: float = Field(0.0, ge=0)
