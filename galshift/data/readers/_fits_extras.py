"""What stands beside an image in FITS files: masks, weights and PSFs, which are not always what they seem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from galshift.data.fits_layout import Galaxy
from galshift.errors import DataError


def refuse_blank_centres(masks: Iterable[tuple[str, np.ndarray] | None], where: object) -> None:
    """Refuse masks that would blank the centres of most galaxies: a source is no fault of a pixel.

    Parameters
    ----------
    masks : iterable of (str, ndarray) or None
        What each mask is called, and True where it spoils a pixel, (H, W).
    where
        The data, for the message.

    Raises
    ------
    DataError
        With the fraction of galaxies.
    """
    blank, seen, names, spread = 0, 0, set(), []
    for found in masks:
        if found is None:
            continue
        name, bad = found
        half = [max(1, side // 16) for side in bad.shape]
        centre = bad[
            tuple(slice(side // 2 - h, side // 2 + h + side % 2) for side, h in zip(bad.shape, half))
        ]
        seen += 1
        spread.append(bad.mean())
        if centre.mean() > 0.5:
            blank += 1
            names.add(name)
    if blank * 2 > seen:
        name = sorted(names)[0]
        raise DataError(
            f"the mask {name} would blank the centres of {blank / seen:.0%} of the galaxies "
            f"({np.mean(spread):.0%} of all pixels)",
            where=where,
            hint="--mask-bits says which of its bits are faults; if it marks sources or good pixels, "
            f"leave it out with --role {name}=ignore",
        )


def mark_relative(galaxies: Sequence[Galaxy], planes: list[list[dict[str, Any]]]) -> list[str]:
    """Mark weights that are no inverse variances, and return what to say of them.

    The WHT of drizzled HST and JWST images is an exposure time, or relative: its zeros mean no data, and it
    states no noise (DrizzlePac handbook; JWST i2d products).  ``--role WHT=weight`` says that it does.
    """
    named = set()
    for galaxy in galaxies:
        better = {"error", "variance"}.intersection(role for role, _ in galaxy.extra)
        for (role, _), places in galaxy.extra.items():
            for place in places if role == "weight" else ():
                plane = planes[place.file][place.plane]
                if str(plane["name"]).lower().startswith("wht") and not plane.get("said"):
                    plane["relative"] = True
                    named |= set() if better else {str(plane["name"])}
    return [
        f"{name} is taken as coverage (0: no data), not as noise; --role {name}=weight: an inverse variance"
        for name in sorted(named)
    ]


def has_noise(galaxies: Sequence[Galaxy], planes: list[list[dict[str, Any]]]) -> bool:
    """Return whether any galaxy comes with an inverse variance, or what makes one."""
    return any(
        role in ("error", "variance")
        or (role == "weight" and not planes[place.file][place.plane].get("relative"))
        for galaxy in galaxies
        for (role, _), places in galaxy.extra.items()
        for place in places
    )


def agree_on_psf(
    galaxies: Sequence[Galaxy],
    bands: Sequence[str],
    planes: list[list[dict[str, Any]]],
    scale: float | np.ndarray | None,
) -> tuple[float | None, list[str]]:
    """Return arcsec per pixel of the galaxies' PSFs, or None where not all have one; and what to say."""
    found = [
        galaxy.extra.get(("psf", band)) or galaxy.extra.get(("psf", None))
        for galaxy in galaxies
        for band in bands
    ]
    if not any(found):
        return None, []
    if not all(found):
        return None, [f"only {sum(map(bool, found))} of {len(found)} images have a PSF: none is taken"]
    own = [planes[places[0].file][places[0].plane]["kernel_scale"] for places in found]
    stated = sorted({round(value, 9) for value in own if value})
    if not stated:
        if scale is None or np.ndim(scale):
            return None, ["no PSF is taken: neither the PSFs nor all images state one pixel scale"]
        return float(scale), [
            "the PSFs state no pixel scale: they are taken to have the pixels of their images"
        ]
    if (len(stated) > 1 and stated[-1] > 1.001 * stated[0]) or not all(own):
        return None, ["no PSF is taken: the PSFs differ in pixel scale, or some state none"]
    return float(stated[0]), []
