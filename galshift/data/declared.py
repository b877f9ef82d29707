"""A user's word held against what the files say: where the two contradict, both are named.

What was declared is compared with the same data set opened without the declaration, so that every reader is
checked in the same way: brightness (unit and zero point) by the pixel values of a few images in one unit, the
pixel scale by its number, bands by their names, a PSF by its FWHM.  ``override`` in the options says which
word is meant against the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.declared_psf import widths
from galshift.data.units import DIMENSIONLESS, conversion, unit_name
from galshift.errors import DataError, GalshiftError

if TYPE_CHECKING:
    from galshift.data.cutouts import Cutouts, Dataset
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


@dataclass(frozen=True)
class Told:
    """What the files of a data set say where nothing is declared of them; no images but a few.

    Attributes
    ----------
    path
        The data set, for messages.
    unit, bands, origins
        As of :class:`~galshift.data.cutouts.DataInfo`.
    pixel_scale : float or None
        The median, in arcsec per pixel.
    rows : ndarray
        Which images `cutouts` are.
    cutouts : Cutouts or None
        None where their brightness says nothing, or is not asked for.
    """

    path: Any
    unit: str | None
    pixel_scale: float | None
    bands: tuple[str, ...]
    origins: dict[str, str]
    rows: np.ndarray
    cutouts: Cutouts | None = None


def told_by_files(options: ReadOptions, plain: Callable[[ReadOptions], Dataset]) -> Told | None:
    """Return what the files say themselves of what `options` declare, a PSF apart; None where nothing is.

    It is asked before the data set is opened, so that of a large one two are never open.

    Parameters
    ----------
    options : ReadOptions
    plain : callable
        Opens the same data with other options.
    """
    declared = _declared(options)
    if not declared or declared == ["psf"]:
        return None
    try:
        dataset = plain(options.model_copy(update={OVERRIDABLE[name]: _BLANK[name] for name in declared}))
    except GalshiftError:  # what was declared is what makes the files readable: they say nothing themselves
        return None
    info, scale = dataset.info, dataset.info.pixel_scale
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(_IMAGES, len(dataset))).astype(int))
    # Pictures are dimensionless by convention: their files say nothing of a unit.
    asked = {"unit", "zero_point"} & set(declared) and info.unit is not None and info.reader != "pictures"
    return Told(
        path=dataset.path,
        unit=info.unit,
        pixel_scale=None if scale is None else float(np.median(scale)),
        bands=tuple(info.bands),
        origins=dict(info.origins),
        rows=rows,
        cutouts=dataset.read(rows) if asked else None,
    )


def check_declared(
    dataset: Dataset, options: ReadOptions, plain: Callable[[ReadOptions], Dataset], told: Told | None
) -> dict[str, str]:
    """Refuse a declaration that contradicts the files.

    Parameters
    ----------
    dataset : Dataset
        Opened with `options`.
    options : ReadOptions
    plain : callable
        Opens the same data with other options.
    told : Told or None
        From :func:`told_by_files`.

    Returns
    -------
    dict
        Property to what the files say, where an override goes before it.

    Raises
    ------
    DataError
        Naming both values, and ``--override`` for whoever means it.
    """
    declared, found = _declared(options), {}
    if told is not None:
        found = _refused(_contradictions(dataset, told, options, declared), told, options)
    if "psf" in declared:
        files, off = _psf_contradiction(dataset, options, plain)
        found |= _refused(off, files, options)
    return found


def _declared(options: ReadOptions) -> list[str]:
    return [name for name, field in OVERRIDABLE.items() if getattr(options, field)]


def _refused(contradictions: dict[str, tuple[str, str]], told: Told, options: ReadOptions) -> dict[str, str]:
    """Return what the files say against what is declared and meant; what is not meant is refused."""
    found = {}
    for name, (mine, theirs) in contradictions.items():
        if name not in options.override:
            label = {"psf": "PSF is", "bands": "bands are"}.get(name, f"{name.replace('_', ' ')} is")
            raise DataError(
                f"the {label} declared as {mine}, and the files say {theirs}{_where(told, name)}",
                where=told.path,
                hint=f"leave it out, or say --override {name} if the files are wrong "
                "(--source-... and --target-... are about one of a pair)",
            )
        found[name] = theirs
    return found


_BLANK = {"unit": None, "zero_point": None, "pixel_scale": None, "bands": (), "psf": None}


def _psf_contradiction(
    dataset: Dataset, options: ReadOptions, plain: Callable[[ReadOptions], Dataset]
) -> tuple[Told, dict[str, tuple[str, str]]]:
    """Hold a declared PSF against the files' own, opened with all else as it is declared."""
    files = plain(options.model_copy(update={"psf": None, "psf_pixel_scale_arcsec": None}))
    told = Told(files.path, None, None, (), dict(files.info.origins), np.arange(0))
    mine, theirs = widths(dataset), widths(files)
    if mine is None or theirs is None:
        return told, {}
    for one, other in zip(mine, theirs):
        if np.isfinite(other) and not other / _FWHM_RATIO <= one <= other * _FWHM_RATIO:
            return told, {"psf": (f"{one:.3g} arcsec (FWHM)", f"{other:.3g} arcsec")}
    return told, {}


def _contradictions(
    dataset: Dataset, told: Told, options: ReadOptions, declared: list[str]
) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    flux = next((name for name in ("zero_point", "unit") if name in declared), None)
    if flux is not None and told.cutouts is not None:
        mine = (
            _zero_point(options.zero_point) if flux == "zero_point" else unit_name(options.unit) or "nothing"
        )
        ratio = _flux_ratio(dataset, told)
        if ratio is None and flux == "unit":  # counts and a zero point go together
            found[flux] = (str(mine), str(told.unit))
        elif ratio is not None and not 1 / _FLUX_RATIO <= ratio <= _FLUX_RATIO:
            theirs = str(told.unit)
            if flux == "zero_point":
                off = 2.5 * np.log10(ratio)
                theirs = f"{theirs}, which is {abs(off):.2f} mag {'fainter' if off > 0 else 'brighter'}"
            found[flux] = (mine, theirs)
    if "pixel_scale" in declared and told.pixel_scale is not None:
        theirs = told.pixel_scale
        ratio = float(options.pixel_scale_arcsec or theirs) / theirs
        if not 1 / _SCALE_RATIO <= ratio <= _SCALE_RATIO:
            found["pixel_scale"] = (f"{options.pixel_scale_arcsec:g} arcsec", f"{theirs:.4g} arcsec")
    if "bands" in declared:
        names = [band for band in told.bands if not band.startswith("band")]
        unknown = [band for band in options.bands if band not in told.bands]
        if names and unknown:
            found["bands"] = (", ".join(options.bands), ", ".join(told.bands))
    return found


def _flux_ratio(dataset: Dataset, told: Told) -> float | None:
    """How many times brighter the images are as declared; None where the two units do not compare."""
    if dataset.info.unit == told.unit == DIMENSIONLESS:
        return 1.0
    mine, theirs = dataset.read(told.rows), told.cutouts
    if mine.images.shape != theirs.images.shape:
        bands = [band for band in mine.bands if band in theirs.bands]
        if not bands or mine.images.shape[2:] != theirs.images.shape[2:]:
            return 1.0
        mine, theirs = (_of_bands(one, bands) for one in (mine, theirs))
    scale = told.pixel_scale
    if scale is None and dataset.info.pixel_scale is not None:
        scale = float(np.median(dataset.info.pixel_scale))
    try:
        factor = conversion(str(dataset.info.unit), str(told.unit), scale)
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


def _where(told: Told, name: str) -> str:
    source = told.origins.get("unit" if name == "zero_point" else name)
    return f" ({source})" if source else ""
