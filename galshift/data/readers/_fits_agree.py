"""What the galaxies of several FITS files have in common: bands, unit, and pixel scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.data.compact import Galaxies
from galshift.data.fits_layout import Galaxy
from galshift.data.fits_names import by_wavelength
from galshift.data.options import ReadOptions
from galshift.data.readers._arrays import declared_unit
from galshift.data.units import conversion, is_magnitude, njy_per_count
from galshift.errors import DataError


def agree_on_bands(
    galaxies: Galaxies, options: ReadOptions, path: object
) -> tuple[Galaxies, tuple[str, ...], np.ndarray]:
    """Return the galaxies, the common bands, in the user's order or by wavelength, and who has them.

    A galaxy without a band that most have is refused, or left out with ``on_error="skip"``.
    """
    everything = np.arange(len(galaxies))
    counts = Counter(tuple(galaxy.science) for galaxy in galaxies)
    common = by_wavelength(counts.most_common(1)[0][0])
    wanted = [band for band in options.bands if band in common]
    if options.bands and len(wanted) < len(options.bands):
        if len(options.bands) == len(common):
            return galaxies.renamed(options.bands), tuple(options.bands), everything
        missing = next(band for band in options.bands if band not in common)
        raise DataError(f"there is no band '{missing}'; the bands are {','.join(common)}", where=path)
    bands = tuple(wanted or common)
    has = np.fromiter((set(bands) <= set(galaxy.science) for galaxy in galaxies), bool, len(galaxies))
    if not has.all() and options.on_error == "raise":
        first = galaxies[int(np.argmin(has))]
        have = ",".join(first.science)
        raise DataError(
            f"{(~has).sum()} of {len(galaxies)} images do not have the bands {','.join(bands)}: "
            f"'{first.name}' has {have}",
            where=path,
            hint="open them one by one, name the common bands with --bands, or use --on-error skip",
        )
    return galaxies, bands, np.flatnonzero(has)


def agree_on_unit(
    galaxies: Sequence[Galaxy],
    bands: Sequence[str],
    planes: list[list[dict[str, Any]]],
    options: ReadOptions,
    path: object,
) -> tuple[str | None, np.ndarray, list[str]]:
    """Return the common unit, the factors (N, C) that bring each plane to it, and notes.

    Raises
    ------
    DataError
        When some images have a unit and others do not say, the units cannot be brought to nJy, or a band has
        no zero point where others have one.
    """
    factors = np.ones((len(galaxies), len(bands)))
    declared = declared_unit(options)
    units, notes = Counter(), set()
    for n, galaxy in enumerate(galaxies):
        for c, band in enumerate(bands):
            place = galaxy.science[band]
            plane = planes[place.file][place.plane]
            unit = declared or plane["unit"]
            if options.zero_point is not None:
                unit, factors[n, c] = "nJy", njy_per_count(_zero_point(options.zero_point, band))
            elif declared is None:
                factors[n, c] = plane["factor"]
                notes |= {plane["note"]} - {None}
            if is_magnitude(unit):
                plane["read_as"] = unit
                notes.add("AB mag / arcsec2 was read as nJy / arcsec2")
                unit = "nJy / arcsec2"
            units[unit] += 1
            plane["final_unit"] = unit
    if len(units) == 1:
        return next(iter(units)), factors, sorted(notes)
    if None in units:
        known = ", ".join(str(unit) for unit in units if unit)
        raise DataError(f"some images are in {known}, others do not say", where=path, hint="declare --unit")
    for n, galaxy in enumerate(galaxies):
        for c, band in enumerate(bands):
            place = galaxy.science[band]
            plane = planes[place.file][place.plane]
            scale = options.pixel_scale_arcsec or plane["scale"]
            factors[n, c] *= conversion(plane["final_unit"], "nJy", scale)
    return "nJy", factors, [*sorted(notes), f"units {', '.join(units)} were brought to nJy"]


def agree_on_scale(
    galaxies: Sequence[Galaxy], bands: Sequence[str], planes: list[list[dict[str, Any]]], path: object
) -> float | np.ndarray | None:
    """Return arcsec per pixel, one for all or (N,), or None where a header does not say.

    Raises
    ------
    DataError
        When the bands of one galaxy differ in pixel scale.
    """
    scales = np.full((len(galaxies), len(bands)), np.nan)
    for n, galaxy in enumerate(galaxies):
        for c, band in enumerate(bands):
            place = galaxy.science[band]
            scales[n, c] = planes[place.file][place.plane]["scale"] or np.nan
    if np.isnan(scales).any():
        return None
    if (np.ptp(scales, axis=1) > 1e-3 * scales[:, 0]).any():
        n = int(np.argmax(np.ptp(scales, axis=1)))
        found = ", ".join(f"{band} {scale:.4g}" for band, scale in zip(bands, scales[n]))
        raise DataError(
            f"the bands of '{galaxies[n].name}' differ in pixel scale (arcsec): {found}",
            where=path,
            hint="open bands of one scale at a time with --bands",
        )
    first = scales[:, 0]
    return float(first[0]) if np.allclose(first, first[0], rtol=1e-6) else first


def _zero_point(zero_point: float | dict[str, float], band: str) -> float:
    if isinstance(zero_point, dict):
        if band not in zero_point:
            raise DataError(f"no zero point for band '{band}'", where="zero_point")
        return zero_point[band]
    return zero_point


def origins_of(
    galaxies: Sequence[Galaxy],
    bands: Sequence[str],
    planes: list[list[dict[str, Any]]],
    *,
    scale_from: str = "",
) -> dict[str, str]:
    """Return where unit, pixel scale, bands, mask, noise and PSF came from, as ``DataInfo.origins``."""
    science, extras = Counter(), {}
    for galaxy in galaxies:
        for band in bands:
            place = galaxy.science[band]
            for key, text in planes[place.file][place.plane].get("origins", {}).items():
                if key in ("unit", "pixel_scale", "bands"):
                    science[key, text] += 1
        roles = {role for role, _ in galaxy.extra}
        noise = next((role for role in ("error", "variance", "weight") if role in roles), None)
        for (role, _), places in galaxy.extra.items():
            for place in places:
                plane = planes[place.file][place.plane]
                text = plane.get("origins", {}).get("mask") if role == "mask" else None
                name = f"HDU {plane['hdu']} ({plane['name']})" if plane["name"] else f"HDU {plane['hdu']}"
                if role == "weight" and plane.get("relative"):
                    extras.setdefault("mask", Counter())[f"{name}, its coverage"] += 1
                elif role in ("mask", "psf", noise):
                    key = "noise" if role == noise else role
                    extras.setdefault(key, Counter())[text or f"{name}, its {role}"] += 1
    found = {}
    for key in ("unit", "pixel_scale", "bands"):
        texts = Counter({text: n for (name, text), n in science.items() if name == key})
        if texts:
            found[key] = _listed(texts)
    found |= {key: _listed(extras[key]) for key in ("mask", "noise", "psf") if key in extras}
    if scale_from:
        found["pixel_scale"] = scale_from
    return found


def _listed(texts: Counter[str]) -> str:
    """Return what was found, most often first, shortened."""
    names = [text for text, _ in texts.most_common(3)]
    return "; ".join(names) + (f"; and {len(texts) - 3} more" if len(texts) > 3 else "")
