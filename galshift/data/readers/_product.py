"""A folder of FITS files that galshift wrote (:mod:`galshift.data.fits_writer`), read back as what it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import NUMBERED, Cutouts, DataInfo
from galshift.data.fits_file import open_fits
from galshift.data.fits_index import fits_files
from galshift.data.fits_writer import CATALOG, FWHM, META, SCALE
from galshift.data.mask_bits import ANY_VALUE
from galshift.data.options import ReadOptions
from galshift.data.readers._arrays import declared_unit
from galshift.data.readers._base import Opened, band_names, finite
from galshift.data.tables import read_table
from galshift.errors import DataError

# What a word of the user's says of files in general, and what these files say themselves.
_GENERAL = ("hdu", "pattern", "roles", "catalog", "zero_point")
_OWN = ("id", "file", "group", "label", FWHM, SCALE)


def open_product(folder: Path, options: ReadOptions) -> Opened | None:
    """Return the data set in a folder that galshift wrote; None where it is none, or was changed since.

    Raises
    ------
    DataError
        When a file of it is broken.
    """
    catalog = folder / CATALOG
    if not catalog.is_file() or any(getattr(options, name, None) for name in _GENERAL):
        return None
    with catalog.open("rb") as stream:
        if META.encode() not in stream.read(1 << 16):
            return None
    table = read_table(catalog)
    held = table.meta.get(META)
    columns = {"id", "file", "group"}
    if not isinstance(held, dict) or "shape" not in held or not columns <= set(table.colnames):
        return None
    files = [folder / str(name) for name in table["file"]]
    if len(files) != held.get("n") or set(fits_files(folder)) != set(files):
        return None
    return ProductData(folder, _info(folder, table, held, options), files, held)


class ProductData(Opened):
    """Images of a folder that galshift wrote, one file each."""

    def __init__(self, path: Path, info: DataInfo, files: list[Path], held: dict[str, Any]) -> None:
        super().__init__(path, info)
        self.files, self.held = files, held

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order."""
        rows, info = self.indices(indices), self.info
        parts = [self._one(self.files[row]) for row in rows]
        images, mask = finite(np.stack([part["image"] for part in parts]), self._stack(parts, "mask"))
        psf = self._stack(parts, "psf")
        if psf is not None and (psf.ndim == 3 or (psf == psf[0]).all()):
            psf = psf[0]
        ivar, scale = self._stack(parts, "ivar"), self.held["psf_pixel_scale_arcsec"]
        return info.cutouts(rows, images, mask=mask, ivar=ivar, psf=psf, psf_pixel_scale=scale)

    def _one(self, file: Path) -> dict[str, np.ndarray]:
        shape = self.info.shape
        with open_fits(file) as hdus:
            image = np.asarray(hdus[0].data, dtype=np.float32)
            if image.shape != tuple(shape):
                raise DataError(f"the image is of shape {image.shape}, not {tuple(shape)}", where=file)
            part = {"image": image}
            if self.held["mask"]:
                part["mask"] = np.asarray(hdus["MASK"].data) != 0
            if self.held["ivar"]:
                known = "IVAR" in hdus
                part["ivar"] = np.asarray(hdus["IVAR"].data, np.float32) if known else np.zeros_like(image)
            if self.held["psf"]:
                part["psf"] = np.asarray(hdus["PSF"].data, dtype=np.float32)
        return part

    def _stack(self, parts: list[dict[str, np.ndarray]], name: str) -> np.ndarray | None:
        return np.stack([part[name] for part in parts]) if self.held[name] else None


def _info(folder: Path, table: Any, held: dict[str, Any], options: ReadOptions) -> DataInfo:
    """The data set's metadata, from the head and the columns of its table."""
    labels, classes = _labels(table, held)
    own = [name for name in table.colnames if name not in _OWN]
    shape = tuple(int(side) for side in held["shape"])
    scale = np.asarray(table[SCALE]) if SCALE in table.colnames else held["pixel_scale_arcsec"]
    named = options.bands if len(options.bands) == shape[0] else held["bands"]
    return DataInfo(
        n=len(table),
        shape=shape,
        reader="fits-folder",
        unit=declared_unit(options) or held["unit"] or None,
        pixel_scale=options.pixel_scale_arcsec or scale,
        bands=band_names(tuple(named), shape[0], folder),
        ids=np.asarray(table["id"]).astype(str),
        groups=np.asarray(table["group"]).astype(str),
        groups_from=held.get("groups_from") or NUMBERED,
        labels=labels,
        classes=classes,
        survey=held["survey"],
        psf_fwhm=np.asarray(table[FWHM]) if FWHM in table.colnames else held["psf_fwhm_arcsec"],
        history=tuple(held["history"]),
        has_mask=held["mask"],
        has_ivar=held["ivar"],
        has_psf=held["psf"],
        table=table[own] if own else None,
        origins=_origins(held, options),
    )


def _origins(held: dict[str, Any], options: ReadOptions) -> dict[str, str]:
    """Where unit, scale, bands, mask, noise and PSF stand, but for what the options say."""
    said = {"unit": options.unit, "pixel_scale": options.pixel_scale_arcsec, "bands": options.bands}
    found = {name: CATALOG for name, word in said.items() if not word}
    parts = {"mask": "mask", "noise": "ivar", "psf": "psf"}
    found |= {name: f"extension {part.upper()}" for name, part in parts.items() if held[part]}
    return found | ({"mask": f"extension MASK, {ANY_VALUE}"} if held["mask"] else {})


def _labels(table: Any, held: dict[str, Any]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    classes = tuple(held["classes"])
    if held["labels"] is None or "label" not in table.colnames:
        return None, classes
    values = table["label"]
    if values.dtype.kind != "U":
        kind = np.int64 if held["labels"] in "iu" else np.float32
        filled = np.ma.filled(np.ma.asarray(values), -1 if kind is np.int64 else np.nan)
        return np.asarray(filled).astype(kind), classes
    index = {name: k for k, name in enumerate(classes)}
    words = np.ma.filled(np.ma.asarray(values), "").astype(str)
    return np.asarray([index.get(word, -1) for word in words], dtype=np.int64), classes
