"""Stretches: from linear flux, with its huge range, to what a network sees.

Each stretch is a small frozen config with the constants fitted on the training split, and acts on (B, C, H,
W) tensors, differentiably.  `normalised` values have about zero mean and unit spread on the training
pixels.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import FunctionCtx

from galshift.errors import DataError
from galshift.types import Strict

STRETCHES = ("asinh", "sky-sigma", "percentile", "lupton", "linear")
_BLOCK_BYTES = 1 << 20  # of images that are stretched together, so that each pass finds them in the cache
Kind = Literal["asinh", "sky-sigma", "percentile", "lupton", "linear"]


class Stretch(Strict):
    """One fitted stretch, y = (f(x) - mean) / std, band by band.

    Attributes
    ----------
    kind : str
        ``asinh``: f = asinh(x / softening) (Lupton, Gunn & Szalay 1999, eq. 3), linear near zero,
        logarithmic above; ``sky-sigma``: the same with each image's own sky noise as the softening;
        ``percentile``: x clipped to [low, high], then asinh(0.85 x / high) (as in Ciprijanovic et al.
        2022); ``lupton``: colours kept, x asinh(Q I / s) / (Q I) with I the mean over bands (Lupton et al.
        2004); ``linear``: f = x.
    softening, low, high : list of float
        One a band, in the unit of the linear images.
    q, range : float
        Lupton's Q, and s in the unit of the linear images.
    mean, std : list of float
        Of f(x) over training pixels, one a band.
    """

    kind: Kind
    softening: list[float] = Field(default_factory=list)
    low: list[float] = Field(default_factory=list)
    high: list[float] = Field(default_factory=list)
    q: float = 8.0
    range: float = 1.0
    mean: list[float]
    std: list[float]

    @property
    def invertible(self) -> bool:
        """True where the linear image can be had back (percentile: where not clipped)."""
        return self.kind != "sky-sigma"

    def __call__(self, linear: Tensor) -> Tensor:
        """Return stretched images (B, C, H, W) of linear ones."""
        return self.laid_out(linear, torch.preserve_format)

    def laid_out(self, linear: Tensor, layout: torch.memory_format) -> Tensor:
        """Return stretched images (B, C, H, W) whose numbers lie in memory as `layout` says."""
        block = max(1, _BLOCK_BYTES // max(1, linear[:1].nbytes))
        if linear.requires_grad or linear.device.type != "cpu" or len(linear) <= block:
            made = self._normalised(linear)
            return made if layout is torch.preserve_format else made.contiguous(memory_format=layout)
        out = torch.empty_like(linear, memory_format=layout)
        for images, place in zip(linear.split(block), out.split(block), strict=True):
            place.copy_(self._normalised(images))
        return out

    def _normalised(self, linear: Tensor) -> Tensor:
        raw, mean, std = raw_stretch(self, linear), _band(self.mean, linear), _band(self.std, linear)
        return (raw - mean).div_(std) if raw is linear else raw.sub_(mean).div_(std)

    def inverse(self, stretched: Tensor) -> Tensor:
        """Return linear images (B, C, H, W).

        Raises
        ------
        DataError
            For ``sky-sigma``, whose softening is not kept in the stretched image.
        """
        value = stretched * _band(self.std, stretched) + _band(self.mean, stretched)
        if self.kind == "asinh":
            return torch.sinh(value) * _band(self.softening, value)
        if self.kind == "percentile":
            return torch.sinh(value) * _band(self.high, value) / 0.85
        if self.kind == "lupton":
            intensity = value.mean(dim=1, keepdim=True)
            linear = torch.sinh(self.q * intensity) * self.range / self.q
            return value * torch.where(intensity.abs() > 1e-12, linear / _nonzero(intensity), self.range)
        if self.kind == "linear":
            return value
        raise DataError("the sky-sigma stretch cannot be undone", hint="choose asinh, percentile or linear")


def raw_stretch(stretch: Stretch, x: Tensor) -> Tensor:
    """Return f(x) of linear (B, C, H, W) before the normalisation to zero mean and unit spread."""
    if stretch.kind == "asinh":
        return asinh(x / _band(stretch.softening, x))
    if stretch.kind == "sky-sigma":
        floor = _band(stretch.softening, x) * 1e-3
        return asinh(x / torch.maximum(sky_sigma(x), floor))
    if stretch.kind == "percentile":
        high = _band(stretch.high, x)
        return asinh(0.85 * torch.clamp(x, _band(stretch.low, x), high) / high)
    if stretch.kind == "lupton":
        intensity = x.mean(dim=1, keepdim=True)
        scaled = stretch.q * intensity / stretch.range
        return x / stretch.range * torch.where(scaled.abs() > 1e-6, asinh(scaled) / _nonzero(scaled), 1.0)
    return x


def sky_sigma(x: Tensor) -> Tensor:
    """Return each image's robust noise (B, C, 1, 1): 1.4826 MAD of the frame along its border."""
    edge = border(x)
    middle = edge.median(dim=-1, keepdim=True).values
    return (1.4826 * (edge - middle).abs().median(dim=-1, keepdim=True).values)[..., None]


def border(x: Tensor) -> Tensor:
    """Return the pixels (B, C, P) of the outer tenth of each side, at least one pixel wide."""
    height, width = x.shape[-2:]
    rim = max(1, min(height, width) // 10)
    inner = x[..., rim : height - rim, :]
    parts = (x[..., :rim, :], x[..., height - rim :, :], inner[..., :rim], inner[..., width - rim :])
    return torch.cat([part.flatten(-2) for part in parts], dim=-1)


def asinh(x: Tensor) -> Tensor:
    """Return the inverse hyperbolic sine to 3e-7 of its value, ten times faster than ``torch.asinh``."""
    return _Asinh.apply(x)


class _Asinh(torch.autograd.Function):
    """asinh |x| = ln(1 + |x| (1 + r)) with r = |x| / (1 + sqrt(1 + x^2)); exact near zero and for huge x.

    The derivative is written out, for that of |x| would be wrong at 0.
    """

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """Return asinh(x)."""
        size = x.abs()
        most = 0.25 * math.sqrt(torch.finfo(x.dtype).max)  # its square is finite, its r is 1
        # To ask a GPU for the largest value would make it wait.
        known = size.device.type == "cpu" and size.numel() > 0 and bool(size.amax() <= most)
        r = size if known else size.clamp(max=most)
        root = torch.mul(r, r).add_(1).sqrt_().add_(1)
        return torch.div(r, root, out=root).add_(1).mul_(size).log1p_().copysign_(x)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep what the derivative needs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        """Return the gradient times 1 / sqrt(1 + x^2)."""
        (x,) = ctx.saved_tensors
        return gradient / torch.hypot(x, torch.ones_like(x))


def _band(values: list[float], like: Tensor) -> Tensor:
    constants = torch.tensor(values, dtype=like.dtype)
    return constants.to(like.device, non_blocking=True).view(1, -1, 1, 1)


def _nonzero(x: Tensor) -> Tensor:
    return torch.where(x == 0, torch.ones_like(x), x)
