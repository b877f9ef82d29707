"""What a FITS header says about an image: unit, zero point, pixel scale, band, and the part it plays."""

from __future__ import annotations

import math
import re
import warnings
from functools import lru_cache
from typing import Any

from galshift.data.units import njy_per_count, unit_name

# Roles of extensions and files, by the words that archives use.
ROLES = {
    "mask": ("mask", "msk", "dq", "bpm", "maskbits", "flags", "badpix"),
    "variance": ("var", "variance"),
    "ivar": ("ivar", "invvar", "weight", "wht", "wgt"),
    "sigma": ("err", "error", "rms", "sigma", "unc", "uncert"),
    "psf": ("psf", "psfs"),
    "science": ("sci", "image", "images", "img", "coadd", "stack"),
}
_IGNORED = ("d2imarr", "wcsdvarr", "wcscorr", "hdrlet", "nexp", "con", "area")
_ROLE_OF = {word: role for role, words in ROLES.items() for word in words}

# Bits of LSST-style mask planes (header MP_<name>) that spoil a pixel; DETECTED and INTRP do not.
_BAD_PLANES = ("BAD", "SAT", "CR", "NO_DATA", "UNMASKEDNAN", "SUSPECT")

_BAND = re.compile(
    r"(?:[ugrizybvjhk]|ks|[rio]c?|fuv|nuv|vis|w[1-4]|f\d{3,4}(?:w|m|n|lp|x|wc)|ch[1-4]|halpha)", re.IGNORECASE
)
_ZERO_POINTS = ("MAGZERO", "ABZP", "ZPT_AB", "ZP_AB", "ABMAGZP")
_WCS_KEY = re.compile(r"(?:CTYPE|CUNIT|CDELT|CROTA)\d|(?:CD|PC)\d_\d|A_\d_\d|B_\d_\d|LATPOLE|LONPOLE|PV\d_\d")


@lru_cache(maxsize=4096)
def role_of(name: str) -> str | None:
    """Return the role (a key of ROLES, or ``ignored``) that an extension's or file's word stands for."""
    word = name.strip().lower()
    return "ignored" if word in _IGNORED else _ROLE_OF.get(word)


@lru_cache(maxsize=4096)
def is_band(name: str) -> bool:
    """Return whether `name` is how astronomers write a passband (g, Ks, F814W, NUV, ...)."""
    return _BAND.fullmatch(name.strip()) is not None


def band_of(header: Any) -> str | None:
    """Return the passband of a header: the filter's name without maker's numbers (``g.MP9401`` is ``g``)."""
    if isinstance(header.get("BAND0"), str):
        return header["BAND0"].strip()
    for key in ("FILTER", "BAND", "FILTER1", "FILTER2", "FILTNAM", "FILTNAM1"):
        value = header.get(key)
        if not isinstance(value, str) or not value.strip() or "clear" in value.lower():
            continue
        first = re.split(r"[.\s_/]", value.strip())[0]
        return first if is_band(first) else value.strip()
    return None


def cube_bands(header: Any, n: int) -> tuple[str, ...]:
    """Return the names of a cube's `n` bands where the header has them (BANDS, BAND0, ...), else ()."""
    text = header.get("BANDS")
    if isinstance(text, str):
        names = (
            re.split(r"[,\s;]+", text.strip()) if re.search(r"[,\s;]", text.strip()) else list(text.strip())
        )
        if len(names) == n:
            return tuple(names)
    for start in (0, 1):
        for word in ("BAND", "FILTER", "FILT"):
            names = [header.get(f"{word}{i}") for i in range(start, start + n)]
            if n > 1 and all(isinstance(name, str) and name.strip() for name in names):
                return tuple(name.strip() for name in names)
    return ()


def unit_and_factor(header: Any, primary: Any = None) -> tuple[str | None, float, str | None]:
    """Return the unit, the factor that pixels are multiplied by to be in it, and how that was found.

    A stated zero point turns counts into nJy: FLUXMAG0 (counts of a source of magnitude 0: HSC), MAGZERO and
    its kin, PHOTFLAM with PHOTPLAM (HST; the AB zero point is -2.5 lg PHOTFLAM - 5 lg PHOTPLAM - 2.408).
    Surveys that leave BUNIT out: SDSS frames (NMGY) and Legacy Survey cut-outs are in nanomaggies.
    """
    unit = unit_name(header.get("BUNIT") if isinstance(header.get("BUNIT"), str) else None)
    counts = unit is None or unit.split(" ")[0] in ("ct", "adu", "electron")
    if not counts:
        return unit, 1.0, None
    flux_mag0 = _positive(header, "FLUXMAG0")
    if flux_mag0:
        return "nJy", 3631e9 / flux_mag0, f"FLUXMAG0 = {flux_mag0:g} makes counts nJy"
    if header.get("NMGY") is not None and unit is None:
        return "nmgy", 1.0, "an SDSS frame is in nanomaggies"
    survey = str(header.get("SURVEY", "")).lower()
    if unit is None and any(word in survey for word in ("decals", "legacy", "mzls", "bass", "desi")):
        return "nmgy", 1.0, f"{header['SURVEY']} cut-outs are in nanomaggies"
    zero_point = _zero_point(header)
    if zero_point is None:
        return unit, 1.0, None
    seconds: float | None = 1.0
    if header.get("PHOTFLAM") is not None and unit in ("electron", "ct", "adu"):
        # HST's zero point is for one count a second.
        seconds = _positive(header, "EXPTIME") or _positive(primary or {}, "EXPTIME")
    if seconds is None:
        return unit, 1.0, "a zero point is given but no exposure time"
    return "nJy", njy_per_count(zero_point) / seconds, f"AB zero point {zero_point:.3f} makes counts nJy"


def pixel_scale_of(header: Any) -> float | None:
    """Return arcsec per pixel from the header's celestial WCS (CD, PC + CDELT, SIP), or None.

    The scale is the square root of a pixel's area at the reference pixel.
    """
    wanted = {str(key): header[key] for key in header if _WCS_KEY.fullmatch(str(key))}
    if not any(
        "RA" in str(value) or "LON" in str(value) for key, value in wanted.items() if key[:5] == "CTYPE"
    ):
        return None
    return _pixel_scale(tuple(sorted(wanted.items())))


def bad_bits(header: Any) -> int | None:
    """Return the bits of an LSST-style mask that spoil a pixel, or None where any value but 0 does."""
    bits = 0
    for plane in _BAD_PLANES:
        position = header.get(f"MP_{plane}")
        if isinstance(position, int) and 0 <= position < 64:
            bits |= 1 << position
    return bits or None


@lru_cache(maxsize=1024)
def _pixel_scale(cards: tuple[tuple[str, Any], ...]) -> float | None:
    from astropy.io import fits
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_area

    header = fits.Header()
    for key, value in cards:
        # Distortion changes the scale away from the reference pixel only.
        if not key.startswith(("A_", "B_")):
            header[key] = value.replace("-SIP", "") if isinstance(value, str) else value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            celestial = WCS(header).celestial
            area = float(proj_plane_pixel_area(celestial)) if celestial.naxis == 2 else math.nan
        except Exception:  # wcslib has its own exception classes, and a broken WCS is only an unknown scale
            return None
    scale = math.sqrt(abs(area)) * 3600 if area == area else 0.0
    return scale if 1e-5 < scale < 1e5 else None


def _zero_point(header: Any) -> float | None:
    flam, plam = _positive(header, "PHOTFLAM"), _positive(header, "PHOTPLAM")
    if flam and plam:
        return -2.5 * math.log10(flam) - 5 * math.log10(plam) - 2.408
    for key in _ZERO_POINTS:
        value = _positive(header, key)
        if value and 10 < value < 40:
            return value
    return None


def _positive(header: Any, key: str) -> float | None:
    try:
        value = float(header.get(key))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and value > 0 else None
