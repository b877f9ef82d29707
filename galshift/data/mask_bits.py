"""Which bits of a mask spoil a pixel: what its header says, else what its mission says.

Most bits of a mask are news, not faults: a source was detected here, a jump was found and corrected, the
pixel lies in a large galaxy.  A mask that nothing is known of spoils a pixel wherever it is not zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from galshift.data.options import bits_value

# Names of bits, as headers write them, that spoil a pixel.
# LSST and HSC planes (afw MaskedImage; MP_BAD, ...), Pan-STARRS (MSKNAMnn, Waters et al. 2020, table 2),
# Legacy Surveys (legacysurvey.org/dr10/bitmasks), SDSS (fpM planes), DECam community pipeline.
_FAULTS = frozenset(
    word
    for line in (
        "BAD SAT SATUR SATURATED CR COSMIC NO_DATA NODATA UNMASKEDNAN SUSPECT VIGNETTED STREAK CROSSTALK",
        "REJECTED SENSOR_EDGE SPIKE ITL_DIP DETECTOR FLAT DARK BLANK CTE LOW GHOST STARCORE CONV_BAD CONVBAD",
        "BURNTOOL DEAD HOT INVALID DO_NOT_USE BPM BADPIX BADAMP TRAIL BLEED EDGEBLEED",
    )
    for word in line.split()
)
_FAULT_STEMS = ("SAT", "ALLM", "ALL_")

# Values, by mission, where the header names no bit.
# HST: ACS data quality flags (stsci.edu/hst/instrumentation/acs/data-analysis/dq-flag-definitions).  News are
# 64 (warm), 256 (full well, usable), 512 (flat of lower quality), 1024 (charge trap): as AstroDrizzle keeps.
_HST = 1 | 2 | 4 | 8 | 16 | 32 | 128 | 2048 | 4096 | 8192 | 16384
# WFC3/IR data handbook 3.3: 512 are blobs, 2048 a signal in the zeroth read, 8192 a cosmic ray that the ramp
# fit has corrected: all usable.
_WFC3_IR = 1 | 2 | 4 | 8 | 16 | 32 | 128 | 256 | 1024 | 4096 | 16384
# Legacy Surveys MASKBITS: 2-4 and 14 are SATUR_g, r, z, i; 5-7 and 15 ALLMASK_g, r, z, i.  The rest (outside
# the brick, near a bright star, in a large galaxy or a cluster) says where a pixel is.
_LEGACY = sum(1 << bit for bit in (2, 3, 4, 5, 6, 7, 14, 15))
# ALLMASK planes hold the community pipeline's bits; 4 is an interpolated pixel.
_ALLMASK = 1 | 2 | 16 | 64 | 128 | 256 | 512 | 2048
# SDSS fpM planes by bit: 1 SATUR, 2 NOTCHECKED, 8 GHOST, 9 CR (INTERP and the object planes are news).
_SDSS = (1 << 1) | (1 << 2) | (1 << 8) | (1 << 9)

#: Keyword of the masks that galshift writes, which say nothing but good (0) or bad.
OWN_MASK = "GALSHIFT"
#: What is bad where neither header nor mission names a bit.
ANY_VALUE = "any value but 0"


#: What is said of a mask whose bits the user has stated.
DECLARED = "bits as declared"


def declared_bits(words: str | None, place: str, kind: Any) -> tuple[int | None, dict[str, str]]:
    """Return the bits that the user states of an array's mask, and what ``DataInfo.origins`` says of it.

    Parameters
    ----------
    words : str or None
        As ``mask_bits`` of the reading options.
    place : str
    kind : dtype or None
        Of the mask's numbers; None without one.  Only whole numbers have bits.
    """
    if words is None or kind is None or np.dtype(kind).kind not in "iu":
        return None, {}
    return bits_value(words), {"mask": f"{place}, {DECLARED}"}


def mask_bits(header: Any, primary: Any, name: str) -> tuple[int | None, str]:
    """Return the bits of a mask that spoil a pixel (None: any value but 0), and who says so.

    Parameters
    ----------
    header, primary
        Of the mask, and of the file.
    name : str
        EXTNAME of the mask.
    """
    if OWN_MASK in header:
        return None, ANY_VALUE
    named, source = _named_bits(header)
    if named:
        return sum({1 << bit for bit, word in named.items() if is_fault(word)}), source
    squeezed = re.sub(r"[^a-z]", "", name.lower())
    telescope, survey = (_text(header, primary, key) for key in ("TELESCOP", "SURVEY"))
    if squeezed == "maskbits":
        return _LEGACY, "Legacy Surveys MASKBITS"
    if squeezed.startswith("allmask"):
        return _ALLMASK, "Legacy Surveys ALLMASK"
    if telescope in ("JWST", "ROMAN"):
        return 1, f"{telescope} DQ bit 0, DO_NOT_USE"
    if telescope == "HST":
        infrared = _text(header, primary, "INSTRUME") == "WFC3" and (
            _text(header, primary, "DETECTOR") == "IR"
            or _text(header, primary, "FILTER").startswith(("F098", "F1"))
        )
        return (_WFC3_IR, "HST WFC3/IR DQ flags") if infrared else (_HST, "HST DQ flags")
    # What is known by its survey alone may be somebody's own mask: eight bits hold a plain yes or no.
    if abs(header.get("BITPIX", 16)) < 16:
        return None, ANY_VALUE
    if "LEGACY" in survey or "DECALS" in survey:
        return _LEGACY, "Legacy Surveys MASKBITS"
    if "SDSS" in (telescope, survey) or (telescope == "2.5M" and "SDSS" in _text(header, primary, "ORIGIN")):
        return _SDSS, "SDSS mask planes"
    return None, ANY_VALUE


def is_fault(word: str) -> bool:
    """Return whether a bit's name says that the pixel is spoilt."""
    text = re.sub(r"[^A-Z0-9]+", "_", word.upper()).strip("_")
    return text in _FAULTS or text.startswith(_FAULT_STEMS)


def spoilt(values: np.ndarray, bits: int | None) -> np.ndarray:
    """Return where a mask spoils a pixel, bool in the mask's shape.

    One of `bits` is set, or for None there is any value but 0; NaN spoils.
    """
    flagged = np.nan_to_num(values, nan=0, posinf=0, neginf=0).astype(np.int64)
    found = (flagged & bits) != 0 if bits is not None else np.nan_to_num(values, nan=1.0) != 0
    return found | ~np.isfinite(values)


def _named_bits(header: Any) -> tuple[dict[int, str], str]:
    """Return bit names by position, from whichever convention the header follows."""
    cards = dict(_items(header))
    planes = {
        bit: key[3:]
        for key, value in cards.items()
        if key.startswith("MP_") and (bit := _position(value)) >= 0
    }
    if planes:
        return planes, "MP_* of its header"
    names = {
        int(key[5:]): str(value)
        for key, value in cards.items()
        if re.fullmatch(r"MBIT_\d+", key) and int(key[5:]) < 64
    }
    pairs = (
        (cards.get(f"MSKVAL{key[6:]}"), value)
        for key, value in cards.items()
        if re.fullmatch(r"MSKNAM\d+", key)
    )
    panstarrs = _by_value(pairs)
    if panstarrs:
        return panstarrs, "MSKNAM*, MSKVAL* of its header"
    legacy = _by_value((value, key[3:]) for key, value in cards.items() if key.startswith("MB_"))
    # Legacy Surveys write both, MB_* shortened: MBIT_* has the names in full, but perhaps not all of them.
    return {**legacy, **names}, " and ".join(
        [f"{key}_*" for key, found in (("MBIT", names), ("MB", legacy)) if found]
    ) + " of its header"


def _by_value(pairs: Iterable[tuple[Any, Any]]) -> dict[int, str]:
    """Return names by bit where headers give each bit's value (a power of two)."""
    found: dict[int, str] = {}
    for value, word in pairs:
        if isinstance(value, int) and 0 < value < 1 << 63 and value & (value - 1) == 0:
            bit = value.bit_length() - 1
            # Two names may share a bit (SUSPECT and BURNTOOL): it spoils if one of them does.
            if bit not in found or is_fault(str(word)):
                found[bit] = str(word)
    return found


def _items(header: Any) -> Iterable[tuple[str, Any]]:
    pairs = header.items() if isinstance(header, Mapping) or hasattr(header, "items") else ()
    return [(str(key).upper(), value) for key, value in pairs]


def _position(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 64 else -1


def _text(header: Any, primary: Any, key: str) -> str:
    for where in (header, primary or {}):
        value = where.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip().upper()
    return ""
