"""Bring one domain's seeing and colours to the other's, so that what still differs is the galaxies.

The source is seen through a wider PSF where the target's is wider; nothing is made sharper.  Bands that are
out of tune (zero points, filters, extinction) are told by the colours of the middle half of all galaxies; a
class of other colours that only one domain has moves them: mergers, a quarter of the target, by 3 %.  No
labels are asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from galshift.types import Strict

#: Long-exposure turbulence (Fried 1966, eq. 3.16), and the FWHM of its profile in units of lambda / r0.
_FRIED, _WIDTH = 3.44, 0.9759
_REACH = 2.0  # FWHM of the kernel that edges are continued by
_CLEAR = 10.0  # how far above its noise the light of a galaxy must be for its colour to count
_ENOUGH = 20  # galaxies of either domain below which nothing is said of colours


class Look(Strict):
    """What is done to the source's linear images, band by band.

    Attributes
    ----------
    fwhm_px : list of float
        Of the turbulence that they are seen through besides [pixel]; 0: none.
    factor : list of float
        Of the flux.
    """

    fwhm_px: list[float] = Field(min_length=1)
    factor: list[float] = Field(min_length=1)

    def __call__(self, images: Tensor) -> Tensor:
        """Return linear images (B, C, H, W) as the other survey would show them, but for the noise."""
        return widened(images, self.fwhm_px) * torch.tensor(self.factor).to(images).view(1, -1, 1, 1)


def look_between(
    source: Tensor,
    target: Tensor,
    widths: tuple[Sequence[float], Sequence[float]] | None,
    scale: float | None,
    *,
    colours: bool = True,
) -> Look:
    """Return what makes source images look like the target's.

    Colours tell the surveys apart only where both hold the same mix of galaxies.

    Parameters
    ----------
    source, target : Tensor
        (N, C, H, W) and (M, C, H, W) linear flux, sky-subtracted, on one pixel scale and in one unit.
    widths : tuple or None
        FWHM of the PSF of either domain, band by band [arcsec]; None where one is not known.
    scale : float or None
        arcsec per pixel; with None, too, the seeing stays.
    colours : bool
        Whether colours are matched.
    """
    missing = [0.0] * source.shape[1]
    if widths is not None and scale is not None:
        missing = [missing_width(a, b) / scale for a, b in zip(*widths, strict=True)]
    factor = colour_factors(widened(source, missing), target) if colours else [1.0] * len(missing)
    return Look(fwhm_px=missing, factor=factor)


def missing_width(source: float, target: float) -> float:
    """Return the FWHM of the turbulence that widens one FWHM to another; 0 where that is not wider.

    The exponents of transfer functions add up, so that widths do to the power 5/3.
    """
    return max(target ** (5 / 3) - source ** (5 / 3), 0.0) ** (3 / 5)


def widened(images: Tensor, fwhm_px: Sequence[float]) -> Tensor:
    """Return images (B, C, H, W) as seen through turbulence of so many pixels; edges are continued."""
    if not any(fwhm_px):
        return images
    height, width = images.shape[2:]
    edge = math.ceil(_REACH * max(fwhm_px))
    wide = pad(images, (edge,) * 4, mode="replicate")
    ky, kx = torch.fft.fftfreq(wide.shape[2]), torch.fft.rfftfreq(wide.shape[3])
    k = torch.hypot(ky[:, None], kx[None, :]).to(images)
    fwhm = torch.tensor(fwhm_px).to(images).view(-1, 1, 1)
    transfer = torch.exp(-_FRIED * (k * fwhm / _WIDTH) ** (5 / 3))
    seen = torch.fft.irfft2(torch.fft.rfft2(wide) * transfer, s=wide.shape[2:])
    return seen[:, :, edge : edge + height, edge : edge + width].contiguous()


def colour_factors(source: Tensor, target: Tensor) -> list[float]:
    """Return the factors (C,) that give the source's bands the target's share of a typical galaxy's light.

    Parameters
    ----------
    source, target : Tensor
        As for :func:`look_between`; 1 where too few galaxies are clearly seen in either.
    """
    seen = [_shares(images) for images in (source, target)]
    if min(map(len, seen)) < _ENOUGH:
        return [1.0] * source.shape[1]
    mine, theirs = (_middle(shares.log()) for shares in seen)
    return (theirs - mine).exp().tolist()


def _middle(values: Tensor) -> Tensor:
    """The mean (C,) of the middle half of (n, C): blind to a few odd ones, and steady between two kinds."""
    quarter = len(values) // 4
    return values.sort(dim=0).values[quarter : len(values) - quarter].mean(dim=0)


def _shares(images: Tensor) -> Tensor:
    """Share of each band (n, C) in the light of the inner half, of galaxies that all bands see clearly."""
    height, width = images.shape[2:]
    inner = images[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]
    light = inner.sum(dim=(2, 3))
    border = torch.cat([images[:, :, 0], images[:, :, -1]], dim=2)
    # 1.4826 makes a median deviation the standard deviation of a normal distribution.
    sky = 1.4826 * (border - border.median(dim=2, keepdim=True).values).abs().median(dim=2).values
    clear = ((light > _CLEAR * sky * math.sqrt(inner[0, 0].numel())) & (light > 0)).all(dim=1)
    return light[clear] / light[clear].sum(dim=1, keepdim=True)
