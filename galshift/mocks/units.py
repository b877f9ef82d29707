"""Surface photometry to nanojansky per pixel, the unit of every mock, and AB magnitudes back."""

from __future__ import annotations

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.units import AB_ZERO_POINT_NJY, is_magnitude, magnitudes_to_njy_arcsec2, to_unit
from galshift.errors import DataError

_READABLE = "nJy, uJy, nmgy, maggies, MJy / sr, mag / arcsec2, or counts with their zero point"


def njy_from_mag(mag: np.ndarray | float) -> np.ndarray | float:
    """Flux density [nJy] of an AB magnitude; +inf mag (no light) is 0."""
    return 10.0 ** (-0.4 * (np.asarray(mag, dtype=float) - AB_ZERO_POINT_NJY))


def mag_from_njy(flux: np.ndarray | float) -> np.ndarray | float:
    """AB magnitude of a flux density [nJy], one or (N,); NaN where it is negative, +inf where it is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return AB_ZERO_POINT_NJY - 2.5 * np.log10(np.asarray(flux, dtype=float))


def to_njy(cutouts: Cutouts, where: object = None) -> Cutouts:
    """Return `cutouts` in nJy per pixel; AB mag / arcsec2 of +inf (dark) become 0.

    Raises
    ------
    DataError
        When the unit or the pixel scale is missing, or the unit is no flux.
    """
    if cutouts.unit in ("", "dimensionless", None):
        raise DataError(
            "the images have no physical unit", where=where, hint=f"state it with --unit: {_READABLE}"
        )
    if cutouts.pixel_scale is None:
        raise DataError(
            "the images have no pixel scale", where=where, hint="state it with --pixel-scale [arcsec]"
        )
    if is_magnitude(cutouts.unit):
        linear = magnitudes_to_njy_arcsec2(cutouts.images).astype(np.float32)
        cutouts = cutouts.with_(images=linear, unit="nJy / arcsec2", ivar=None)
    try:
        return to_unit(cutouts, "nJy")
    except DataError as error:
        raise DataError(error.what, where=where, hint=error.hint) from None
