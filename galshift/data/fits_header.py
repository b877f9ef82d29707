"""What a FITS header says about an image: unit, zero point, pixel scale and band."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from galshift.data.roles import is_band
from galshift.data.units import njy_per_count, unit_name

_ZERO_POINTS = ("MAGZERO", "ABZP", "ZPT_AB", "ZP_AB", "ABMAGZP")
_FILTERS = ("FILTER", "BAND", "FILTER1", "FILTER2", "FILTNAM", "FILTNAM1", "FPA.FILTERID")
_KERNEL_SCALES = ("PIXELSCL", "PIXSCALE", "PIXSCAL", "PIXSCAL1", "PSF_SCAL", "PSFSCALE", "SECPIX", "SECPIX1")
_WCS_KEY = re.compile(
    r"(?:CTYPE|CUNIT|CDELT|CROTA)\d|(?:CD|PC)\d_\d|PC\d{6}|A_\d_\d|B_\d_\d|LATPOLE|LONPOLE|PV\d_\d"
)
# Widths of filters by the end of their names: of two wheels, the narrower filter makes the band.
_WIDTHS = {"N": 0, "M": 1, "W": 2, "W2": 3, "LP": 3, "X": 3, "WC": 3}


class Cards:
    """The keywords of an image: its own header's, and where that has none the primary header's.

    Parameters
    ----------
    header, primary
        astropy headers; `primary` None or the same for an image in the primary HDU.
    place : str
        What the image's HDU is called in words.
    """

    def __init__(self, header: Any, primary: Any = None, place: str = "its header") -> None:
        self.header, self.place = header, place
        self.primary = {} if primary is None or primary is header else primary

    def get(self, key: str, default: Any = None) -> Any:
        """Return a keyword's value; an empty text counts as none."""
        for header in (self.header, self.primary):
            value = header.get(key)
            if value is not None and not (isinstance(value, str) and not value.strip()):
                return value
        return default

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.header)

    def origin(self, *keys: str) -> str:
        """Return where keywords were found, such as ``BUNIT of HDU 1 (SCI)``."""
        own = all(self.header.get(key) is not None for key in keys)
        return f"{', '.join(keys)} of {self.place if own else 'the primary header'}"


def band_of(header: Any) -> str | None:
    """Return the passband of a header: the filter's name without maker's numbers (``g.MP9401`` is ``g``).

    JWST keeps narrow filters in the pupil wheel: PUPIL is the band where it holds a filter.
    """
    key = band_key(header)
    if key is None:
        return None
    value = str(header.get(key)).strip()
    if key == "BAND0":
        return value
    if key == "PUPIL" or "clear" in value.lower():
        return _narrowest(value)
    first = re.split(r"[.\s_/]", value)[0]
    return first if is_band(first) else value


def band_key(header: Any) -> str | None:
    """Return the keyword that :func:`band_of` reads, or None."""
    if isinstance(header.get("BAND0"), str):
        return "BAND0"
    pupil, wheel = (_narrowest(str(header.get(key) or "")) for key in ("PUPIL", "FILTER"))
    if pupil is not None and (wheel is None or _width(pupil) <= _width(wheel)):
        return "PUPIL"
    for key in _FILTERS:
        value = header.get(key)
        if not isinstance(value, str) or not value.strip():
            continue
        if "clear" not in value.lower() or _narrowest(value) is not None:
            return key
    return None


def _narrowest(value: str) -> str | None:
    """Return the narrowest filter that a wheel's value names (``F444W-CLEAR`` is ``F444W``), or None."""
    words = [
        word for word in re.split(r"[^A-Za-z0-9]+", value) if re.fullmatch(r"[Ff]\d{3,4}[A-Za-z]\w*", word)
    ]
    found = [word for word in words if is_band(word)]
    return min(found, key=_width) if found else None


def _width(band: str) -> int:
    return _WIDTHS.get(band.upper().lstrip("F0123456789"), 2)


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
    cards = header if isinstance(header, Cards) else Cards(header, primary)
    text = cards.get("BUNIT")
    unit = unit_name(text if isinstance(text, str) else None)
    if is_asinh(cards):
        return _panstarrs(cards)
    if unit is not None and unit.split(" ")[0] not in ("ct", "adu", "electron"):
        return unit, 1.0, None
    flux_mag0 = _positive(cards, "FLUXMAG0")
    if flux_mag0:
        return "nJy", 3631e9 / flux_mag0, f"FLUXMAG0 = {flux_mag0:g} makes counts nJy"
    if cards.get("NMGY") is not None and unit is None:
        return "nmgy", 1.0, "an SDSS frame is in nanomaggies"
    survey = str(cards.get("SURVEY", "")).lower()
    if unit is None and any(word in survey for word in ("decals", "legacy", "mzls", "bass", "desi")):
        return "nmgy", 1.0, f"{cards['SURVEY']} cut-outs are in nanomaggies"
    zero_point, keys = _zero_point(cards)
    if zero_point is None:
        return unit, 1.0, None
    seconds: float | None = 1.0
    if keys[0] == "PHOTFLAM":
        if unit is None:
            return None, 1.0, "PHOTFLAM is given, but not whether pixels are counts or counts per second"
        if unit in ("electron", "ct", "adu"):
            # HST's zero point is for one count a second.
            seconds = _positive(cards, "EXPTIME")
    if seconds is None:
        return unit, 1.0, "a zero point is given but no exposure time"
    found = f"AB zero point {zero_point:.3f} makes counts nJy ({cards.origin(*keys)})"
    return "nJy", njy_per_count(zero_point) / seconds, found


def is_asinh(header: Any) -> bool:
    """Return whether pixels are asinh magnitudes as in the stacks of Pan-STARRS (BSOFTEN, BOFFSET)."""
    return all(isinstance(header.get(key), int | float) for key in ("BSOFTEN", "BOFFSET"))


def _panstarrs(cards: Cards) -> tuple[str, float, str]:
    """Return what a stack's pixels are when they are linear: counts of zero point FPA.ZP + 2.5 lg EXPTIME."""
    made = "asinh magnitudes (BSOFTEN, BOFFSET) were made linear"
    zero_point, seconds = _positive(cards, "FPA.ZP"), _positive(cards, "EXPTIME")
    if zero_point is None or seconds is None:
        return "adu", 1.0, made
    total = zero_point + 2.5 * math.log10(seconds)
    return "nJy", njy_per_count(total), f"{made}; AB zero point {total:.3f} = FPA.ZP + 2.5 lg EXPTIME"


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


def has_wcs(header: Any) -> bool:
    """Return whether a header says anything of axes."""
    return any(_WCS_KEY.fullmatch(str(key)) for key in header)


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


def kernel_scale_of(header: Any) -> tuple[float | None, str]:
    """Return arcsec per pixel of a PSF's image and the keyword that states it, or (None, "").

    First its celestial WCS as for any image, then a matrix or CDELT in degrees without axis names, then
    PIXELSCL and its kin; with OVERSAMP a stated scale is the detector's, except WebbPSF's PIXELSCL, which is
    of these pixels already.
    """
    scale = pixel_scale_of(header)
    if scale is not None:
        return scale, "its WCS"
    scale = _plain_scale(header)
    if scale is not None:
        return scale, "its CD matrix or CDELT"
    for key in _KERNEL_SCALES:
        value = _positive(header, key)
        if value is None or not 1e-4 < value < 60:
            continue
        comments = getattr(header, "comments", None)
        fine = comments is not None and "oversampl" in str(comments[key]).lower()
        times = _positive(header, "OVERSAMP") or 1.0
        if fine or times == 1.0:
            return value, key
        return value / times, f"{key} / OVERSAMP"
    return None, ""


def _plain_scale(header: Any) -> float | None:
    """Return arcsec per pixel from CD, or PC and CDELT, of a header that does not name its axes."""
    if any(header.get(f"CTYPE{axis}") for axis in (1, 2)):
        return None
    matrix = [[header.get(f"CD{i}_{j}") for j in (1, 2)] for i in (1, 2)]
    if all(value is None for row in matrix for value in row):
        steps = [header.get(f"CDELT{i}", header.get("CDELT1")) for i in (1, 2)]
        if any(not isinstance(step, int | float) for step in steps):
            return None
        turn = [[header.get(f"PC{i}_{j}", float(i == j)) for j in (1, 2)] for i in (1, 2)]
        matrix = [[step * value for value in row] for step, row in zip(steps, turn)]
    (a, b), (c, d) = ([value or 0.0 for value in row] for row in matrix)
    unit = str(header.get("CUNIT1") or "deg").strip().lower()
    scale = math.sqrt(abs(a * d - b * c)) * (1.0 if unit.startswith("arcsec") else 3600.0)
    # A step of whole degrees is no pixel of a PSF: the matrix counts pixels, or something else.
    return scale if 1e-4 < scale < 60 else None


def _zero_point(cards: Cards) -> tuple[float | None, tuple[str, ...]]:
    """Return the AB zero point and the keywords that state it: first those of the image, then the file's."""
    own = Cards(cards.header, None)
    for header in (own, cards):
        flam, plam = _positive(header, "PHOTFLAM"), _positive(header, "PHOTPLAM")
        if flam and plam:
            return -2.5 * math.log10(flam) - 5 * math.log10(plam) - 2.408, ("PHOTFLAM", "PHOTPLAM")
        for key in _ZERO_POINTS:
            value = _positive(header, key)
            if value and 10 < value < 40:
                return value, (key,)
    return None, ("",)


def _positive(header: Any, key: str) -> float | None:
    try:
        value = float(header.get(key))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and value > 0 else None
