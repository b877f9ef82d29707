"""Augmentation of linear images, in batches, on the device they are on.

Everything acts before the stretch, where shifts, blurs and noise mean what they mean at the telescope.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from galshift.data.affine import dihedral, shift_and_zoom
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
    x = _moved(linear, config, generator)
    if config.blur_px > 0:
        x = blur(x, config.blur_px * _uniform((len(x),), x, generator))
    gain = None
    if config.flux_jitter > 0:
        gain = torch.exp(config.flux_jitter * _normal((len(x), 1, 1, 1), x, generator))
    if config.color_jitter > 0:
        color = torch.exp(config.color_jitter * _normal((len(x), x.shape[1], 1, 1), x, generator))
        gain = color if gain is None else gain * color
    if gain is not None:
        x = x * gain if x is linear else x.mul_(gain)  # what was given is the training set itself
    low, high = config.noise
    if noise_scale is not None and high > 0:
        floor = max(low, high / 20)
        exponent = _uniform((len(x), 1, 1, 1), x, generator)
        scale = noise_scale.to(x.device, x.dtype, non_blocking=True).view(1, -1, 1, 1)
        sigma = floor * (high / floor) ** exponent * scale
        noise = _normal(x.shape, x, generator)
        x = torch.addcmul(x, sigma, noise) if x is linear else x.addcmul_(sigma, noise)
    return x


def _moved(linear: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Turned, shifted and magnified images; `linear` itself where none of it is asked for."""
    element = _integers(8, linear, generator) if config.dihedral else None
    if config.shift_px > 0 or config.zoom > 0:
        shift = (2 * _uniform((len(linear), 2), linear, generator) - 1) * config.shift_px
        zoom = 1 + config.zoom * (2 * _uniform((len(linear),), linear, generator) - 1)
        return shift_and_zoom(linear, shift, zoom, element)
    return linear if element is None else dihedral(linear, element)


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
