"""One FITS file: which images it holds, by its headers alone, and their pixels when they are wanted.

Pixels come through astropy (BSCALE, BZERO, BLANK, byte order, tile compression, gzip, bzip2); what is wrong
with a file becomes one sentence.
"""

from __future__ import annotations

import gzip
import math
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from galshift.bounds import plain_file
from galshift.data.fits_header import (
    Cards,
    band_key,
    band_of,
    cube_bands,
    has_wcs,
    is_asinh,
    kernel_scale_of,
    pixel_scale_of,
    unit_and_factor,
)
from galshift.data.fits_walk import MAX_BYTES, check_structure
from galshift.data.mask_bits import ANY_VALUE, mask_bits
from galshift.data.roles import header_role, role_of
from galshift.data.units import asinh_to_flux, is_magnitude, magnitudes_to_njy_arcsec2
from galshift.errors import DataError

_BLOCK = 2880
_END = re.compile(rb"END {77}(?: {80})*\Z")
_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_NOT_PLAIN = ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM")


@contextmanager
def open_fits(path: Path, *, whole: bool = False, verify: bool = True) -> Iterator[Any]:
    """Open a FITS file, turning every way in which it can be broken into a :class:`DataError`.

    With `whole`, every header is read at once; else an extension that the file ends in goes unseen.  With
    `verify`, checksums are verified, which reads what bears one.

    Raises
    ------
    DataError
        One sentence, with the file.
    """
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyUserWarning

    try:
        check_structure(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A wrong checksum is the one warning that means the pixels cannot be trusted.
            warnings.filterwarnings("error", message="(Checksum|Datasum) verification failed")
            # By name astropy would open it twice.
            with (
                path.open("rb") as stream,
                fits.open(stream, memmap=False, lazy_load_hdus=not whole, checksum=verify) as hdus,
            ):
                yield hdus
    except DataError:
        raise
    except AstropyUserWarning as error:
        raise DataError(
            f"its checksum is wrong: {one_line(error)}", where=path, hint="copy or download the file again"
        ) from error
    except MemoryError as error:
        raise DataError("an image in it is too large for memory", where=path) from error
    except Exception as error:  # astropy lets exceptions of C libraries through, which have no public class
        raise DataError(
            f"the FITS file cannot be read: {sentence(error)}",
            where=path,
            hint="copy or download it again, or leave such files out with --on-error skip",
        ) from error


def describe(path: Path) -> list[dict[str, Any]]:
    """Return one JSON-able dict for every image in a file, from headers alone.

    Keys: hdu, name, ver (EXTVER), shape (numpy order), bitpix, data (the byte at which pixels that are plain
    begin, else None), kind (``i`` or ``f``), role (None where its name is
    not known), band, bands, unit, factor, note, scale and, as of a PSF, kernel_scale [arcsec / pixel], bits
    that spoil a pixel of a mask, and origins: where unit, pixel_scale, bands and mask were found.

    Raises
    ------
    DataError
        When the file is broken, is shorter than its headers say, or has no image.
    """
    planes, tables = [], []
    with open_fits(path, whole=True) as hdus:
        for index, hdu in enumerate(hdus):
            if not getattr(hdu, "is_image", False):
                tables.append(hdu.name or f"HDU {index}")
                continue
            shape = tuple(int(side) for side in hdu.shape)
            _check_size(hdu, shape, path)
            if len(shape) < 2 or 0 in shape:
                continue
            planes.append(_describe_hdu(index, hdu, shape, hdus[0].header, path))
        _check_rest(hdus, path)
    if not planes:
        what = f"it holds tables only ({', '.join(tables[:4])})" if tables else "it holds no image"
        raise DataError(
            what, where=path, hint="a catalogue goes to --labels, or open it with --reader catalog"
        )
    return planes


def load(path: Path, wanted: list[tuple[dict[str, Any], int | None]]) -> list[np.ndarray]:
    """Return the arrays of some HDUs, scaled: float for images, integer for masks; NaN and infinity stay.

    Parameters
    ----------
    path : Path
    wanted : list of (dict, int or None)
        The image as :func:`describe` says, with ``read_as``, its unit, where magnitudes are to become
        nJy / arcsec2; and the position along its first axis that is wanted, None for all of it.  Of a part no
        checksum can be verified: describing the file did that.
    """
    plain = _load_plain(path, wanted)
    return plain if plain is not None else _load_by_astropy(path, wanted)


def _load_plain(path: Path, wanted: list[tuple[dict[str, Any], int | None]]) -> list[np.ndarray] | None:
    """Read pixels from where they are known to lie; None where any of them needs more than that."""
    if not all(plane.get("data") for plane, _ in wanted):
        return None
    arrays = []
    try:
        plain_file(path, empty=True)
        with path.open("rb", buffering=0) as stream:
            for plane, part in wanted:
                start, bitpix, shape = plane["data"], plane["bitpix"], plane["shape"]
                # The header ends in the block before: should it not, the file is another than was described.
                stream.seek(start - _BLOCK)
                header = stream.read(_BLOCK)
                if len(header) < _BLOCK or not _END.search(header):
                    return None
                count = math.prod(shape)
                if part is not None:
                    shape = shape[1:]
                    count = math.prod(shape)
                    stream.seek(start + part * count * abs(bitpix) // 8)
                data = np.fromfile(stream, np.dtype(_DTYPES[bitpix]), count)
                if len(data) < count:
                    return None
                data = data.reshape(shape)
                data = data.astype(data.dtype.newbyteorder("="))
                arrays.append(magnitudes_to_njy_arcsec2(data) if is_magnitude(plane.get("read_as")) else data)
    except OSError:
        return None  # the other way says what is wrong
    return arrays


def _load_by_astropy(path: Path, wanted: list[tuple[dict[str, Any], int | None]]) -> list[np.ndarray]:
    arrays = []
    with open_fits(path, verify=all(part is None for _, part in wanted)) as hdus:
        headers: dict[int, Any] = {}
        for plane, part in wanted:
            number, unit = plane["hdu"], plane.get("read_as")
            if number >= len(hdus):
                raise DataError(f"it has no HDU {number}", where=path)
            # Reading the pixels takes these cards out of the header.
            if number not in headers:
                headers[number] = hdus[number].header.copy()
            header = headers[number]
            blank, zero = (header.get(key) for key in ("BLANK", "BZERO"))
            data = hdus[number].data if part is None else hdus[number].section[part]
            if data is None:
                raise DataError(f"HDU {number} has no pixels", where=path)
            data = np.asarray(data)
            if data.dtype.kind == "u" and isinstance(blank, int):
                # astropy gives unsigned integers as such, and forgets that one of them means "no value".
                data = np.where(data == blank + int(zero or 0), np.nan, data.astype(np.float64))
            data = data.astype(data.dtype.newbyteorder("="), copy=True)
            if is_asinh(header) and data.dtype.kind == "f":
                data = asinh_to_flux(data, float(header["BOFFSET"]), float(header["BSOFTEN"]))
            arrays.append(magnitudes_to_njy_arcsec2(data) if is_magnitude(unit) else data)
    return arrays


def _where_pixels_lie(hdu: Any, path: Path) -> int | None:
    """Return the byte that an image's pixels begin at, where they are read as they stand; else None.

    Not so for what is compressed, scaled, has values that mean "none", or is held against a checksum.
    """
    from astropy.io import fits

    header = hdu.header
    if isinstance(hdu, fits.CompImageHDU) or path.suffix.lower() in (".gz", ".bz2", ".z", ".fz"):
        return None
    if any(key in header for key in _NOT_PLAIN) or header.get("BITPIX") not in _DTYPES or is_asinh(header):
        return None
    if header.get("PCOUNT", 0) != 0 or header.get("GCOUNT", 1) != 1 or header.get("GROUPS", False):
        return None
    place = (hdu.fileinfo() or {}).get("datLoc")
    return place if isinstance(place, int) and place >= _BLOCK else None


def _describe_hdu(index: int, hdu: Any, shape: tuple[int, ...], primary: Any, path: Path) -> dict[str, Any]:
    header = hdu.header
    name = str(header.get("EXTNAME", "")).strip() if index or "EXTNAME" in header else ""
    role = role_of(name) or header_role(header)
    role = role or ("psf" if any(key in header for key in ("NUM_PSFS", "NXPSFS")) else None)
    place = f"HDU {index} ({name})" if name else f"HDU {index}"
    cards = Cards(header, primary if index else None, place)
    unit, factor, note = unit_and_factor(cards)
    scale, scale_from = _scale(header, primary, place)
    size = min(shape[0], shape[-1]) if len(shape) >= 3 else 0
    bands = list(cube_bands(header, size)) if 1 < size <= 64 else []
    key = band_key(cards)
    origins = {"unit": note or (cards.origin("BUNIT") if unit else ""), "pixel_scale": scale_from}
    origins["bands"] = f"keywords of {place}" if bands else cards.origin(key) if key else ""
    described = {
        "hdu": index,
        "name": name,
        "ver": int(header.get("EXTVER", 1)) if isinstance(header.get("EXTVER", 1), int) else 1,
        "shape": list(shape),
        "bitpix": int(header.get("BITPIX", 8)),
        "data": _where_pixels_lie(hdu, path),
        "kind": "i" if int(header.get("BITPIX", 8)) > 0 and header.get("BSCALE", 1) == 1 else "f",
        "role": role,
        "band": band_of(cards),
        "bands": bands,
        "unit": unit,
        "factor": factor,
        "note": note,
        "scale": scale,
        "kernel_scale": scale
        or kernel_scale_of(header)[0]
        or (kernel_scale_of(primary)[0] if index else None),
        "bits": None,
    }
    # Any plane may turn out to be a mask, by its file's name or the user's word; fractions have no bits.
    source = ANY_VALUE
    if role == "mask" or described["kind"] == "i":
        described["bits"], source = mask_bits(header, primary, name)
    origins["mask"] = f"{place}, {source if source == ANY_VALUE else f'bits by {source}'}"
    return {**described, "origins": {key: text for key, text in origins.items() if text}}


def _scale(header: Any, primary: Any, place: str) -> tuple[float | None, str]:
    """Return arcsec per pixel and where it was found."""
    scale = pixel_scale_of(header)
    if scale is not None:
        return scale, f"WCS of {place}"
    inherits = header.get("INHERIT", True) is not False and int(primary.get("NAXIS", 0)) == 0
    if inherits and header is not primary and not has_wcs(header):
        scale = pixel_scale_of(primary)
    return scale, "WCS of the primary header" if scale is not None else ""


def _check_size(hdu: Any, shape: tuple[int, ...], path: Path) -> None:
    """Refuse an image that cannot be in the file, before memory is asked for it."""
    from astropy.io import fits

    pixels = math.prod(shape) if shape else 0
    n_bytes = pixels * abs(int(hdu.header.get("BITPIX", 8))) // 8
    if n_bytes > MAX_BYTES:
        raise DataError(f"an image of {'x'.join(map(str, shape))} pixels is too large", where=path)
    compressed = isinstance(hdu, fits.CompImageHDU) or path.suffix in (".gz", ".bz2", ".Z")
    info = None if compressed or pixels == 0 else hdu.fileinfo()
    if info and info["datLoc"] + n_bytes > path.stat().st_size:
        missing = info["datLoc"] + n_bytes - path.stat().st_size
        raise DataError(
            f"the file is truncated: {missing} of its bytes are missing",
            where=path,
            hint="copy or download it again, or leave such files out with --on-error skip",
        )


def _check_rest(hdus: Any, path: Path) -> None:
    """Refuse a file that ends in the middle of an extension, which astropy leaves out with a warning only."""
    info = hdus[-1].fileinfo() if len(hdus) else None
    if info is None:
        return
    file = info["file"]
    file.seek(info["datLoc"] + info["datSpan"])
    # Anything else after the last extension is padding, which does no harm.
    if file.read(8) == b"XTENSION":
        raise DataError(
            f"the file is truncated: it ends within extension {len(hdus)}",
            where=path,
            hint="copy or download it again, or leave such files out with --on-error skip",
        )


def sentence(error: BaseException) -> str:
    """Return what is wrong in words that do not need the source code."""
    text = one_line(error)
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile) or "buffer is too small" in text:
        return "it is truncated or damaged"
    if "SIMPLE" in text or "Empty or corrupt" in text:
        return "it does not begin like a FITS file"
    return text[:200]


def one_line(error: BaseException) -> str:
    """Return an exception's text on one line, or its kind where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
