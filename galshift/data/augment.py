"""Augmentation of linear images, in batches, on the device they are on.

Everything acts before the stretch, where shifts, blurs and noise mean what they mean at the telescope.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from galshift.data.input_config import AugmentConfig


def augment(
    linear: Tensor, config: AugmentConfig, generator: torch.Generator, noise_scale: Tensor | None = None
) -> Tensor:
    """Return one random view of each image.

    Parameters
    ----------
    linear : Tensor
        (B, C, S, S) linear flux.
    config : AugmentConfig
    generator : torch.Generator
        On the device of `linear`, or on the CPU; the same generator state gives the same views.
    noise_scale : Tensor, optional
        (C,) sky sigma of the training pixels; without it no noise is added.

    Returns
    -------
    Tensor
        (B, C, S, S); flux is conserved by shifts and turns, but for what leaves the frame.
    """
    x = dihedral(linear, _integers(8, linear, generator)) if config.dihedral else linear
    if config.shift_px > 0 or config.zoom > 0:
        shift = (2 * _uniform((len(x), 2), x, generator) - 1) * config.shift_px
        zoom = 1 + config.zoom * (2 * _uniform((len(x),), x, generator) - 1)
        x = shift_and_zoom(x, shift, zoom)
    if config.blur_px > 0:
        x = blur(x, config.blur_px * _uniform((len(x),), x, generator))
    if config.flux_jitter > 0:
        x = x * torch.exp(config.flux_jitter * _normal((len(x), 1, 1, 1), x, generator))
    if config.color_jitter > 0:
        x = x * torch.exp(config.color_jitter * _normal((len(x), x.shape[1], 1, 1), x, generator))
    low, high = config.noise
    if noise_scale is not None and high > 0:
        floor = max(low, high / 20)
        exponent = _uniform((len(x), 1, 1, 1), x, generator)
        sigma = floor * (high / floor) ** exponent
        x = x + sigma * noise_scale.to(x).view(1, -1, 1, 1) * _normal(x.shape, x, generator)
    return x


def dihedral(images: Tensor, element: Tensor) -> Tensor:
    """Return (B, C, S, S) images turned by `element` % 4 quarter turns, mirrored first where it is >= 4."""
    out = torch.empty_like(images)
    for k in range(8):
        chosen = (element == k).nonzero().flatten()
        if len(chosen):
            part = images[chosen]
            part = part.flip(-1) if k >= 4 else part
            out[chosen] = torch.rot90(part, k % 4, dims=(-2, -1))
    return out


def shift_and_zoom(images: Tensor, shift_px: Tensor, zoom: Tensor) -> Tensor:
    """Return images moved by (B, 2) pixels (y, x) and magnified by (B,); bicubic, edges repeated."""
    height, width = images.shape[-2:]
    theta = torch.zeros(len(images), 2, 3, dtype=images.dtype, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / zoom
    theta[:, 0, 2] = -2 * shift_px[:, 1] / width / zoom
    theta[:, 1, 2] = -2 * shift_px[:, 0] / height / zoom
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(
        images, grid, mode="bicubic", padding_mode="border", align_corners=False
    )


def blur(images: Tensor, sigma_px: Tensor) -> Tensor:
    """Return images convolved with a Gaussian of (B,) sigma, by its transfer function; borders wrap."""
    height, width = images.shape[-2:]
    fy = torch.fft.fftfreq(height, dtype=images.dtype, device=images.device)[:, None]
    fx = torch.fft.rfftfreq(width, dtype=images.dtype, device=images.device)[None, :]
    transfer = torch.exp(-2 * (math.pi * sigma_px.view(-1, 1, 1, 1)) ** 2 * (fy**2 + fx**2))
    return torch.fft.irfft2(torch.fft.rfft2(images) * transfer, s=(height, width))


def _uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    # Drawn where the generator lives, so that one on the CPU gives a GPU the same views.
    return torch.rand(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)


def _normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)


def _integers(high: int, like: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(high, (len(like),), generator=generator, device=generator.device)
    return drawn.to(like.device)
