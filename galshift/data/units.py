"""What one pixel's number means: unit names as archives write them, and conversion between them.

galshift thinks in nJy per pixel.  AB magnitudes: m = 31.4 - 2.5 log10(flux / nJy) (Oke & Gunn 1983), so one
nanomaggy (m = 22.5) is 3631 nJy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.errors import DataError

AB_ZERO_POINT_NJY = 31.4
DIMENSIONLESS = "dimensionless"

# Spellings of survey headers that astropy does not read, in lower case without spaces.
_SPELLINGS = {
    "nanomaggies": "nmgy",
    "nanomaggy": "nmgy",
    "nanomaggie": "nmgy",
    "maggies": "mgy",
    "maggy": "mgy",
    "electrons": "electron",
    "electrons/s": "electron / s",
    "electrons/sec": "electron / s",
    "electron/sec": "electron / s",
    "e-": "electron",
    "e-/s": "electron / s",
    "e/s": "electron / s",
    "counts": "ct",
    "count": "ct",
    "counts/s": "ct / s",
    "counts/sec": "ct / s",
    "cps": "ct / s",
    "jy/beam": "Jy / beam",
    "dn": "adu",
    "dns": "adu",
    "dn/s": "adu / s",
    "adu": "adu",
    "datavalue": None,
    "unitless": DIMENSIONLESS,
    "dimensionless": DIMENSIONLESS,
    "none": None,
    "unknown": None,
    "": None,
}
_MAGNITUDES = ("mag/arcsec2", "mag/arcsec^2", "mag/arcsec**2", "magarcsec-2", "mag/sqarcsec")


def unit_name(text: str | None) -> str | None:
    """Return astropy's name of a unit as a header or a user writes it; None where it says nothing.

    ``AB mag/arcsec2`` and its variants become ``mag / arcsec2``; an unknown unit is None.
    """
    squeezed = "".join(str(text or "").lower().split())
    if squeezed in _SPELLINGS:
        return _SPELLINGS[squeezed]
    if squeezed.removeprefix("ab").lstrip("(").rstrip(")") in _MAGNITUDES:
        return "mag / arcsec2"
    unit = _parse(str(text).strip())
    return None if unit is None else unit.to_string()


def is_magnitude(unit: str | None) -> bool:
    """Return whether `unit` is an AB surface brightness in magnitudes."""
    return unit == "mag / arcsec2"


def magnitudes_to_njy_arcsec2(magnitudes: np.ndarray) -> np.ndarray:
    """Return AB mag / arcsec2 as nJy / arcsec2; +inf is no light (0), NaN stays NaN."""
    return np.power(10.0, -0.4 * (np.asarray(magnitudes, dtype=np.float64) - AB_ZERO_POINT_NJY))


def asinh_to_flux(stored: np.ndarray, offset: float, softening: float) -> np.ndarray:
    """Return the counts of a Pan-STARRS stack from the asinh magnitudes in its file.

    offset + 2 softening sinh(stored ln(10) / 2.5) (Waters et al. 2020, ApJS 251, 4, section 7; PS1 image
    documentation, BOFFSET and BSOFTEN).
    """
    return offset + 2 * softening * np.sinh(np.asarray(stored, dtype=np.float64) * (np.log(10) / 2.5))


def njy_per_count(zero_point: float) -> float:
    """Return the flux in nJy of one count at AB `zero_point`."""
    return 10 ** (-0.4 * (zero_point - AB_ZERO_POINT_NJY))


def conversion(unit: str, to: str, pixel_scale: float | np.ndarray | None) -> float | np.ndarray:
    """Return what a pixel in `unit` is multiplied by to be in `to`.

    Parameters
    ----------
    unit, to : str
        Names as from :func:`unit_name`; per pixel, or per solid angle.
    pixel_scale : float or ndarray or None
        arcsec per pixel, one or (N,), as the result then is; needed between fluxes and surface
        brightnesses.

    Raises
    ------
    DataError
        When no such conversion exists, or it needs a pixel scale that is not known.
    """
    if unit == to:
        return 1.0
    if not unit:
        hint = "declare it with --unit, such as nJy, nanomaggy, MJy/sr or mag/arcsec2"
        raise DataError("the unit of these images is not known", hint=hint)
    first, second = _in_janskys(_parse(unit)), _in_janskys(_parse(to))
    if first is None or second is None or DIMENSIONLESS in (unit, to):
        raise _no_conversion(unit, to)
    from astropy import units as u

    arcsec2 = u.arcsec**2
    for factor, power in ((u.dimensionless_unscaled, 0), (arcsec2, 1), (arcsec2**-1, -1)):
        if (first * factor).is_equivalent(second):
            if power and pixel_scale is None:
                raise DataError(
                    f"changing {unit} to {to} needs the pixel scale, which is not known",
                    hint="give --pixel-scale in arcsec",
                )
            area = np.asarray(pixel_scale, dtype=float) ** (2 * power) if power else 1.0
            return (first * factor).to(second) * area
    raise _no_conversion(unit, to)


def to_unit(cutouts: Cutouts, unit: str = "nJy") -> Cutouts:
    """Return `cutouts` in `unit` (per pixel), images and inverse variances alike.

    Raises
    ------
    DataError
        As :func:`conversion`.
    """
    factor = conversion(cutouts.unit, unit, cutouts.pixel_scale)
    if np.ndim(factor) == 0 and factor == 1.0:
        return cutouts.with_(unit=unit) if cutouts.unit != unit else cutouts
    factor = np.reshape(np.asarray(factor, dtype=np.float64), (-1, 1, 1, 1))
    changes: dict[str, Any] = {"images": (cutouts.images * factor).astype(np.float32), "unit": unit}
    if cutouts.ivar is not None:
        changes["ivar"] = (cutouts.ivar / factor**2).astype(np.float32)
    return cutouts.with_(f"unit {cutouts.unit} -> {unit}", **changes)


def is_per_area(unit: str | None) -> bool:
    """Return whether a pixel's number is a surface brightness, which resampling averages instead of sums."""
    if unit is None or unit == DIMENSIONLESS:
        return True
    parsed = _parse(unit)
    if parsed is None:
        return False
    from astropy import units as u

    return any(base.is_equivalent(u.rad) and power < 0 for base, power in zip(parsed.bases, parsed.powers))


@lru_cache(maxsize=256)
def _parse(text: str) -> Any:
    from astropy import units as u

    try:
        return u.Unit(text, parse_strict="raise") if text else None
    except (ValueError, TypeError):
        return None


def _in_janskys(unit: Any) -> Any:
    """Return `unit` with maggies, which astropy leaves without a value, as 3631 Jy."""
    from astropy import units as u
    from astropy.units import photometric

    if unit is None or photometric.mgy not in unit.decompose().bases:
        return unit
    parts = unit.decompose()
    product = u.Unit(parts.scale)
    for base, power in zip(parts.bases, parts.powers):
        product = product * (u.Unit(3631 * u.Jy) if base == photometric.mgy else base) ** power
    return product


def _no_conversion(unit: str, to: str) -> DataError:
    return DataError(
        f"pixels in '{unit}' cannot be changed to '{to}'",
        hint="declare the unit with --unit, or the AB magnitude of one count with --set zero_point",
    )
