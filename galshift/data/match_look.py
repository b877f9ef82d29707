"""Bring one domain's seeing and colours to the other's, so that what still differs is the galaxies.

The source is seen through a wider PSF where the target's is wider; nothing is made sharper.  Bands that are
out of tune (zero points, filters, extinction) are told by the median colour of all galaxies, which a class
that only one domain has moves little.  No labels are asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import conv2d, pad

from galshift.types import Strict

_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))  # FWHM of a Gaussian
_REACH = 4  # sigma of the kernel that are kept
_LEAST_SIGMA = 0.2  # pixels below which a kernel is nothing but its centre
_CLEAR = 10.0  # how far above its noise the light of a galaxy must be for its colour to count


class Look(Strict):
    """What is done to the source's linear images, band by band.

    Attributes
    ----------
    sigma_px : list of float
        Of the Gaussian that they are convolved with [pixel]; 0: none.
    factor : list of float
        Of the flux.
    """

    sigma_px: list[float] = Field(min_length=1)
    factor: list[float] = Field(min_length=1)

    def __call__(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) as the other survey would show them, but for the noise."""
        scale = torch.tensor(self.factor).to(images).view(1, -1, 1, 1)
        return blurred(images, self.sigma_px) * scale


def kernel_sigma(source: Sequence[float], target: Sequence[float], scale: float) -> list[float]:
    """Return the Gaussian [pixel] that widens one PSF to another; 0 where that is not wider.

    Parameters
    ----------
    source, target : sequence of float
        FWHM of each band [arcsec].
    scale : float
        arcsec per pixel.
    """
    missing = (max(b**2 - a**2, 0.0) for a, b in zip(source, target, strict=True))
    return [math.sqrt(square) / _PER_SIGMA / scale for square in missing]


def blurred(images: Tensor, sigma_px: Sequence[float]) -> Tensor:
    """Return images (B, C, H, W), each band convolved with a Gaussian; edges are continued."""
    bands = []
    for k, sigma in enumerate(sigma_px):
        band = images[:, k : k + 1]
        if sigma >= _LEAST_SIGMA:
            reach = max(1, math.ceil(_REACH * sigma))
            x = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
            line = torch.exp(-0.5 * (x / sigma) ** 2)
            line = line / line.sum()
            band = pad(band, (reach, reach, reach, reach), mode="replicate")
            band = conv2d(conv2d(band, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))
        bands.append(band)
    return torch.cat(bands, dim=1)


def colour_factors(source: Tensor, target: Tensor) -> list[float]:
    """Return the factors that give the source's bands the target's median colours; total flux stays.

    Parameters
    ----------
    source, target : Tensor
        (N, C, H, W) and (M, C, H, W) linear flux in the same unit, sky-subtracted.
    """
    seen = [_colours(images) for images in (source, target)]
    if min(len(one) for one in seen) < 1:
        return [1.0] * source.shape[1]
    mine, theirs = (one.median(dim=0).values for one in seen)
    return (theirs / mine).tolist()


def _colours(images: Tensor) -> Tensor:
    """Share of each band (n, C) in the light of the inner half, of galaxies that are clearly seen."""
    height, width = images.shape[2:]
    inner = images[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4]
    light = inner.sum(dim=(2, 3))
    # The sky's noise in a pixel, by the border's median deviation, and in as many pixels.
    border = torch.cat([images[:, :, 0], images[:, :, -1]], dim=2)
    sky = 1.4826 * (border - border.median(dim=2, keepdim=True).values).abs().median(dim=2).values
    noise = sky * math.sqrt(inner.shape[2] * inner.shape[3])
    clear = (light > _CLEAR * noise).all(dim=1) & (light > 0).all(dim=1)
    light = light[clear]
    return light / light.sum(dim=1, keepdim=True)
