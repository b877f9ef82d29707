"""A user's word held against what the files say: where the two contradict, both are named.

What was declared is compared with the same data set opened without the declaration, so that every reader is
checked in the same way: brightness (unit and zero point) by the pixel values of a few images in one unit, the
pixel scale by its number, bands by their names, a PSF by its FWHM.  ``override`` in the options says which
word is meant against the files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from galshift.data.declared_psf import widths
from galshift.data.units import DIMENSIONLESS, conversion, unit_name
from galshift.errors import DataError, GalshiftError

if TYPE_CHECKING:
    from galshift.data.cutouts import Cutouts, DataInfo, Dataset
    from galshift.data.options import ReadOptions

#: What may be declared against the files: the option's name by the property's.
OVERRIDABLE = {
    "unit": "unit",
    "zero_point": "zero_point",
    "pixel_scale": "pixel_scale_arcsec",
    "bands": "bands",
    "psf": "psf",
}
# 0.01 mag, and one per cent of a pixel scale: less is rounding in a header.
_FLUX_RATIO, _SCALE_RATIO = 10**0.004, 1.01
# Two ways of measuring the FWHM of one PSF agree within a few per cent.
_FWHM_RATIO = 1.05
_IMAGES = 3


def check_declared(
    dataset: Dataset, options: ReadOptions, plain: Callable[[ReadOptions], Dataset]
) -> dict[str, str]:
    """Refuse a declaration that contradicts the files.

    Parameters
    ----------
    dataset : Dataset
        Opened with `options`.
    options : ReadOptions
    plain : callable
        Opens the same data with other options.

    Returns
    -------
    dict
        Property to what the files say, where an override goes before it.

    Raises
    ------
    DataError
        Naming both values, and ``--override`` for whoever means it.
    """
    declared = [name for name, field in OVERRIDABLE.items() if getattr(options, field)]
    found = _held(dataset, options, plain, declared) if declared and declared != ["psf"] else {}
    if "psf" in declared:
        told, off = _psf_contradiction(dataset, options, plain)
        found |= _refused(off, told, options)
    return found


def _held(
    dataset: Dataset, options: ReadOptions, plain: Callable[[ReadOptions], Dataset], declared: list[str]
) -> dict[str, str]:
    """Hold all but a PSF against the files, as `check_declared`."""
    try:
        told = plain(options.model_copy(update={OVERRIDABLE[name]: _BLANK[name] for name in declared}))
    except GalshiftError:  # what was declared is what makes the files readable: they say nothing themselves
        return {}
    return _refused(_contradictions(dataset, told, options, declared), told, options)


def _refused(
    contradictions: dict[str, tuple[str, str]], told: Dataset, options: ReadOptions
) -> dict[str, str]:
    """Return what the files say against what is declared and meant; what is not meant is refused."""
    found = {}
    for name, (mine, theirs) in contradictions.items():
        if name not in options.override:
            label = {"psf": "PSF is", "bands": "bands are"}.get(name, f"{name.replace('_', ' ')} is")
            raise DataError(
                f"the {label} declared as {mine}, and the files say {theirs}{_where(told.info, name)}",
                where=told.path,
                hint=f"leave it out, or say --override {name} if the files are wrong "
                "(--source-... and --target-... are about one of a pair)",
            )
        found[name] = theirs
    return found


_BLANK = {"unit": None, "zero_point": None, "pixel_scale": None, "bands": (), "psf": None}


def _psf_contradiction(
    dataset: Dataset, options: ReadOptions, plain: Callable[[ReadOptions], Dataset]
) -> tuple[Dataset, dict[str, tuple[str, str]]]:
    """Hold a declared PSF against the files' own, opened with all else as it is declared."""
    told = plain(options.model_copy(update={"psf": None, "psf_pixel_scale_arcsec": None}))
    mine, theirs = widths(dataset), widths(told)
    if mine is None or theirs is None:
        return told, {}
    for one, other in zip(mine, theirs):
        if np.isfinite(other) and not other / _FWHM_RATIO <= one <= other * _FWHM_RATIO:
            return told, {"psf": (f"{one:.3g} arcsec (FWHM)", f"{other:.3g} arcsec")}
    return told, {}


def _contradictions(
    dataset: Dataset, told: Dataset, options: ReadOptions, declared: list[str]
) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    flux = next((name for name in ("zero_point", "unit") if name in declared), None)
    # Pictures are dimensionless by convention: their files say nothing of a unit.
    if flux is not None and told.info.unit is not None and told.info.reader != "pictures":
        mine = (
            _zero_point(options.zero_point) if flux == "zero_point" else unit_name(options.unit) or "nothing"
        )
        ratio = _flux_ratio(dataset, told)
        if ratio is None and flux == "unit":  # counts and a zero point go together
            found[flux] = (str(mine), str(told.info.unit))
        elif ratio is not None and not 1 / _FLUX_RATIO <= ratio <= _FLUX_RATIO:
            theirs = str(told.info.unit)
            if flux == "zero_point":
                off = 2.5 * np.log10(ratio)
                theirs = f"{theirs}, which is {abs(off):.2f} mag {'fainter' if off > 0 else 'brighter'}"
            found[flux] = (mine, theirs)
    if "pixel_scale" in declared and told.info.pixel_scale is not None:
        theirs = float(np.median(told.info.pixel_scale))
        ratio = float(options.pixel_scale_arcsec or theirs) / theirs
        if not 1 / _SCALE_RATIO <= ratio <= _SCALE_RATIO:
            found["pixel_scale"] = (f"{options.pixel_scale_arcsec:g} arcsec", f"{theirs:.4g} arcsec")
    if "bands" in declared:
        names = [band for band in told.info.bands if not band.startswith("band")]
        unknown = [band for band in options.bands if band not in told.info.bands]
        if names and unknown:
            found["bands"] = (", ".join(options.bands), ", ".join(told.info.bands))
    return found


def _flux_ratio(dataset: Dataset, told: Dataset) -> float | None:
    """How many times brighter the images are as declared; None where the two units do not compare."""
    if dataset.info.unit == told.info.unit == DIMENSIONLESS:
        return 1.0
    rows = np.unique(np.linspace(0, len(told) - 1, min(_IMAGES, len(told))).astype(int))
    mine, theirs = dataset.read(rows), told.read(rows)
    if mine.images.shape != theirs.images.shape:
        bands = [band for band in mine.bands if band in theirs.bands]
        if not bands or mine.images.shape[2:] != theirs.images.shape[2:]:
            return 1.0
        mine, theirs = (_of_bands(one, bands) for one in (mine, theirs))
    scale = told.info.pixel_scale if told.info.pixel_scale is not None else dataset.info.pixel_scale
    scale = None if scale is None else float(np.median(scale))
    try:
        factor = conversion(str(dataset.info.unit), str(told.info.unit), scale)
    except DataError:
        return None
    good = np.isfinite(mine.images) & np.isfinite(theirs.images) & (theirs.images != 0) & (mine.images != 0)
    if not good.any():
        return 1.0
    return float(np.median(np.asarray(mine.images, float)[good] / theirs.images[good]) * np.median(factor))


def _of_bands(cutouts: Cutouts, bands: list[str]) -> Cutouts:
    images = cutouts.images[:, [cutouts.bands.index(band) for band in bands]]
    return cutouts.with_(images=images, bands=tuple(bands), mask=None, ivar=None, psf=None)


def _zero_point(value: float | dict[str, float] | None) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{band} {one:g}" for band, one in value.items())
    return f"{value:g}"


def _where(info: DataInfo, name: str) -> str:
    source = (getattr(info, "origins", None) or {}).get("unit" if name == "zero_point" else name)
    return f" ({source})" if source else ""
