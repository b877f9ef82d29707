"""Write one FITS file per image, with unit, bands, pixel scale and provenance in its header.

Each file holds the image (C, H, W) in its primary HDU, and where they exist the extensions MASK, IVAR (none
for an image whose noise is not known) and PSF (C, P, P).  A table ``catalog.ecsv`` beside them has id, file,
group, label and the catalogue's columns; its head keeps what is the same for all (`META`).  Opening the
folder gives back what was written (:mod:`galshift.data.readers._product`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.fits_text import escaped, history_cards, needs_escape, note_escapes
from galshift.data.mask_bits import OWN_MASK
from galshift.data.units import AB_ZERO_POINT_NJY
from galshift.errors import DataError, ResourceError
from galshift.provenance import canonical_json, jsonable

CATALOG = "catalog.ecsv"
#: Key of the table's head under which the folder says what it holds.
META = "galshift"
SCHEMA = "galshift-1"
#: Columns of the table for what each image has its own of.
FWHM, SCALE = "galshift_psf_fwhm_arcsec", "galshift_pixel_scale_arcsec"


def write_fits_folder(
    path: str | Path, chunks: Cutouts | Iterable[Cutouts], *, provenance: dict[str, Any] | None = None
) -> Path:
    """Write images to a new folder, which appears when it is complete.

    Raises
    ------
    DataError
        When there is no image, or `path` exists and is not an empty folder.
    ResourceError
        When the disk is full or cannot be written.
    """
    from astropy.table import Table, vstack

    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError("there is something there already", where=path, hint="choose another folder")
    chunks = [chunks] if isinstance(chunks, Cutouts) else chunks
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    tables: list[Table] = []
    try:
        temporary.mkdir(parents=True)
        used: set[str] = set()
        first: Cutouts | None = None
        for cutouts in chunks:
            first = first or cutouts
            _refuse_comments(cutouts, path)
            names = [_file_name(image_id, used) for image_id in cutouts.ids]
            for i, name in enumerate(names):
                _write_one(temporary / name, cutouts, i, provenance)
            tables.append(_catalog(cutouts, names))
        if first is None:
            raise DataError("there are no images to write", where=path)
        catalog = vstack(tables, metadata_conflicts="silent")
        catalog.meta = {META: _summary(first, len(catalog))}
        catalog.write(temporary / CATALOG, format="ascii.ecsv")
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        raise ResourceError(f"the folder cannot be written: {error}", where=path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def _refuse_comments(cutouts: Cutouts, path: Path) -> None:
    """Refuse names that a table in text would not give back: a line break, and what comments begin with."""
    for name in (*cutouts.ids, *cutouts.groups):
        if "\r" in name or re.search(r"\n\s*#", name):
            raise DataError(
                f"the name {ascii(name)[:80]} cannot be kept in a table of text",
                where=path / CATALOG,
                hint="rename the image, or write an .h5 file",
            )


def _write_one(file: Path, cutouts: Cutouts, i: int, provenance: dict[str, Any] | None) -> None:
    from astropy.io import fits

    primary = fits.PrimaryHDU(cutouts.images[i])
    header = primary.header
    header["BUNIT"] = cutouts.unit
    in_escapes = _name_bands(header, cutouts.bands)
    if cutouts.unit == "nJy":
        header["MAGZERO"] = (AB_ZERO_POINT_NJY, "AB magnitude of 1 nJy")
    names = {"OBJECT": str(cutouts.ids[i]), "GROUP": str(cutouts.groups[i]), **_class_of(cutouts, i)}
    _name(header, names, in_escapes)
    scale = _of(cutouts.pixel_scale, i)
    if scale is not None:
        # A local tangent plane: readers need the scale, the position is the table's.
        _, height, width = cutouts.images[i].shape
        header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
        header["CUNIT1"] = header["CUNIT2"] = "deg"
        header["CDELT1"], header["CDELT2"] = -scale / 3600, scale / 3600
        header["CRPIX1"], header["CRPIX2"] = (width + 1) / 2, (height + 1) / 2
        header["CRVAL1"], header["CRVAL2"] = _position(cutouts, i)
    if cutouts.survey:
        header["SURVEY"] = cutouts.survey
    for step in cutouts.history:
        header.add_history(escaped(step))
    if provenance:
        header["PROVENAN"] = "see HISTORY"
        for line in history_cards(f"provenance {canonical_json(jsonable(provenance))}"):
            header.add_history(line)
    hdus = [primary]
    if cutouts.mask is not None:
        mask = fits.ImageHDU(cutouts.mask[i].astype(np.uint8), name="MASK")
        mask.header[OWN_MASK] = (True, "any value but 0 is a bad pixel")
        hdus.append(mask)
    # Without noise no weight is known: zeros would say that every pixel is bad.
    if cutouts.ivar is not None and cutouts.ivar[i].any():
        hdus.append(fits.ImageHDU(cutouts.ivar[i].astype(np.float32), name="IVAR"))
    if cutouts.psf is not None:
        hdus.append(_psf(cutouts, i))
    for hdu in hdus:
        hdu.add_checksum(when="of this HDU")  # astropy would write the time here
    fits.HDUList(hdus).writeto(file)


def _psf(cutouts: Cutouts, i: int) -> Any:
    """The PSF of image `i` as an extension (P, P) or (C, P, P), with its pixel in the header."""
    from astropy.io import fits

    kernel = cutouts.psf[i] if cutouts.psf.ndim == 4 else cutouts.psf
    hdu = fits.ImageHDU(kernel.astype(np.float32), name="PSF")
    if cutouts.psf_pixel_scale is not None:
        hdu.header["PIXSCALE"] = (float(cutouts.psf_pixel_scale), "arcsec / pixel")
    note_escapes(hdu.header, _name_bands(hdu.header, cutouts.bands if kernel.ndim == 3 else ()))
    return hdu


def _name_bands(header: Any, bands: Sequence[str]) -> list[str]:
    """Put the names of bands into a header and return the keywords that hold escapes."""
    for band, name in enumerate(bands):
        header[f"BAND{band}"] = escaped(name) if needs_escape([name]) else name
    return [f"BAND{band}" for band, name in enumerate(bands) if needs_escape([name])]


def _name(header: Any, names: dict[str, str], also: Sequence[str] = ()) -> None:
    """Put names into a header, with escapes where FITS cannot hold them, which the header then says.

    `also` are keywords with escapes that are there already.
    """
    changed = [key for key, text in names.items() if needs_escape([text])]
    for key, text in names.items():
        header[key] = escaped(text) if key in changed else text
    note_escapes(header, [*also, *changed])


def _summary(cutouts: Cutouts, n: int) -> dict[str, Any]:
    """What holds for all images, as plain values."""
    return {
        "schema": SCHEMA,
        "n": n,
        "shape": [int(side) for side in cutouts.images.shape[1:]],
        "unit": cutouts.unit,
        "bands": list(cutouts.bands),
        "classes": list(cutouts.classes),
        "survey": cutouts.survey,
        "history": list(cutouts.history),
        "groups_from": cutouts.groups_from,
        "labels": None if cutouts.labels is None else cutouts.labels.dtype.kind,
        "pixel_scale_arcsec": _one(cutouts.pixel_scale),
        "psf_fwhm_arcsec": _one(cutouts.psf_fwhm),
        "psf_pixel_scale_arcsec": _one(cutouts.psf_pixel_scale),
        "mask": cutouts.mask is not None,
        "ivar": cutouts.ivar is not None,
        "psf": cutouts.psf is not None,
    }


def _one(value: float | np.ndarray | None) -> float | None:
    return None if value is None or np.ndim(value) else float(value)


def _class_of(cutouts: Cutouts, i: int) -> dict[str, str]:
    label = _label(cutouts, i)
    return {} if label is None else {"CLASS": label}


def _catalog(cutouts: Cutouts, names: list[str]) -> Any:
    from astropy.table import Table

    columns = {"id": cutouts.ids, "file": names, "group": cutouts.groups}
    if any(str(name).startswith("#") for name in cutouts.ids):  # which would make a comment of its row
        columns = {"file": names, **columns}
    table = Table(columns)
    if cutouts.labels is not None:
        if cutouts.classes and cutouts.labels.ndim == 1:
            table["label"] = [_label(cutouts, i) or "" for i in range(len(cutouts))]
        else:
            table["label"] = cutouts.labels
    for name, values in ((FWHM, cutouts.psf_fwhm), (SCALE, cutouts.pixel_scale)):
        if values is not None and np.ndim(values):
            table[name] = np.asarray(values, dtype=np.float64)
    for column in [] if cutouts.table is None else cutouts.table.colnames:
        if column not in table.colnames:
            table[column] = cutouts.table[column]
    return table


def _label(cutouts: Cutouts, i: int) -> str | None:
    labels = cutouts.labels
    if labels is None or labels.ndim != 1 or not cutouts.classes or labels[i] < 0:
        return None
    return cutouts.classes[int(labels[i])]


def _position(cutouts: Cutouts, i: int) -> tuple[float, float]:
    names = {} if cutouts.table is None else {name.casefold(): name for name in cutouts.table.colnames}
    if "ra" in names and "dec" in names:
        ra, dec = (float(cutouts.table[names[key]][i]) for key in ("ra", "dec"))
        if np.isfinite(ra) and abs(dec) <= 90:
            return ra, dec
    return 0.0, 0.0


def _of(value: float | np.ndarray | None, i: int) -> float | None:
    if value is None:
        return None
    return float(np.asarray(value).reshape(-1)[i if np.ndim(value) else 0])


def _file_name(image_id: str, used: set[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9.+-]+", "-", str(image_id)).strip(".-") or "image"
    # Words such as "mask" or a filter at the end would be read as a part that the file plays.
    name, number = f"{name[:120]}", 0
    while (candidate := f"{name}{f'-{number}' if number else ''}.fits").lower() in used:
        number += 1
    used.add(candidate.lower())
    return candidate
