"""Whether an image can be a PSF: its width, its border, its wings, its centre."""

from __future__ import annotations

import numpy as np

from galshift.data.psf_array import array_fwhm, centroid
from galshift.errors import DataError

# Shares of the flux.  A real PSF on a small stamp has up to 8 % in a level as high as its border (a Moffat of
# beta 2.5 cut at 2.5 FWHM); one with a sky level left in has most of it there.
PEDESTAL, NEGATIVE, GROWTH = 0.15, 0.05, 1.05


def examine(image: np.ndarray, scale: float, *, where: object = None) -> tuple[str, ...]:
    """Return what a user should know of a PSF's image: its width, and what is odd.

    Parameters
    ----------
    image : ndarray
        (P, Q), in any unit; bad pixels are NaN and count as 0.
    scale : float
        arcsec per pixel.
    where
        Its file, for messages.

    Raises
    ------
    DataError
        As :func:`check`.
    """
    check(image, where=where)
    bad = ~np.isfinite(image)
    image = np.where(bad, 0.0, image)
    return _said(image, array_fwhm(image / image.sum(), scale), scale, int(bad.sum()))


def check(image: np.ndarray, *, where: object = None) -> None:
    """Refuse an image (P, P) that cannot be a PSF; see :func:`examine`.

    Raises
    ------
    DataError
        When it is not two-dimensional or sums to nothing, has a pedestal, negative wings, an encircled flux
        beyond the whole, or is cut off; with what mends it.
    """
    image = np.where(np.isfinite(image), image, 0.0).astype(float)
    total = image.sum()
    if image.ndim != 2 or not total > 0:
        raise DataError(
            f"a PSF must be a 2-D image with a positive sum, not {image.shape} with the sum {total:.3g}",
            where=where,
            hint="if its sky was subtracted, subtract the median of its border",
        )
    if min(image.shape) < 5:
        return  # a point, or next to one: it has no border
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    level = float(np.median(border))
    share = level * image.size / total
    if share > PEDESTAL:
        raise DataError(
            f"this PSF stands on a pedestal: its border is at {level / image.max():.2g} of its peak, and a "
            f"level as high as that holds {min(share, 1):.0%} of its flux",
            where=where,
            hint="subtract the median of its border, or give a larger image if its wings reach that far",
        )
    centre = centroid(image)
    _refuse_negative(image, centre, where)
    width = 2 * np.sqrt(np.count_nonzero(image > image.max() / 2) / np.pi)
    _refuse_cut(image, centre, width, where)


def _refuse_negative(image: np.ndarray, centre: tuple[float, float], where: object) -> None:
    """Refuse negative wings.  Rings are summed, so that noise about zero does not count."""
    rows, columns = np.indices(image.shape)
    ring = np.hypot(rows - centre[0], columns - centre[1]).astype(int)
    sums = np.bincount(ring.ravel(), weights=image.ravel())
    negative = -sums[sums < 0].sum() / sums[sums > 0].sum()
    growth = np.cumsum(sums).max() / sums.sum()
    if negative > NEGATIVE or growth > GROWTH:
        raise DataError(
            f"this PSF has negative wings: {negative:.0%} of its positive flux, so that its encircled flux "
            f"reaches {growth:.2f} of the whole",
            where=where,
            hint="too much sky was subtracted: subtract the median of its border, or set the wings to 0",
        )


def _refuse_cut(image: np.ndarray, centre: tuple[float, float], width: float, where: object) -> None:
    """Refuse a PSF that its image cuts off: too wide for it, or too close to its edge; `width` in pixels."""
    room = min(min(at + 0.5, side - 0.5 - at) for at, side in zip(centre, image.shape))
    if room < width:
        raise DataError(
            f"this PSF is cut off: its FWHM is {width:.1f} pixels, and its centre {room:.1f} from the border",
            where=where,
            hint="give an image that reaches at least one FWHM, better five, to each side",
        )


def _said(image: np.ndarray, fwhm: float, scale: float, n_bad: int) -> tuple[str, ...]:
    total, centre = image.sum(), centroid(image)
    said = [f"FWHM {fwhm:.3g} arcsec ({fwhm / scale:.3g} pixels of {scale:.4g} arcsec)"]
    if fwhm < 1.5 * scale:
        said.append("its pixels are coarse against its width: it is undersampled")
    off = [at - (side - 1) / 2 for at, side in zip(centre, image.shape)]
    if max(map(abs, off)) > 0.6:  # an even side has no middle pixel
        said.append(f"its centre is {off[1]:+.1f}, {off[0]:+.1f} pixels off the middle: it is centred")
    negative = -image[image < 0].sum() / image[image > 0].sum()
    if negative > NEGATIVE:
        said.append(f"negative pixels hold {negative:.0%} of its flux: noise")
    if 1.005 < total < 1.5:
        said.append(f"its sum is {total:.3f}, more than the whole light: it is normalised")
    if n_bad:
        said.append(f"{n_bad} bad pixels count as 0")
    return tuple(said)
