"""Photon, sky, dark and read noise: exact Poisson statistics, and the Gaussian limit where it is licensed.

A coadd of n exposures of t seconds holds Poisson(n t rate) + Normal(0, n RN^2) electrons, because a sum of
Poisson variates is one; a single draw is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from galshift.data.units import AB_ZERO_POINT_NJY
from galshift.mocks.depth import noise_pixels
from galshift.mocks.poisson import poisson
from galshift.mocks.units import njy_from_mag

if TYPE_CHECKING:
    from galshift.mocks.psf import Psf
    from galshift.surveys.schema import Band, Survey

#: Sky + dark electrons per pixel from which a Gaussian stands in for Poisson: P(> 4 sigma) is then within
#: 20 % of the Gaussian 3.2e-5.
GAUSSIAN_FROM = 1000.0
#: Planes in one go: few enough to stay in the processor's cache.
_AT_ONCE = 32


@dataclass(frozen=True)
class NoiseLevel:
    """The noise of one band, per pixel.

    Attributes
    ----------
    electrons_per_njy : float
        Electrons that 1 nJy gives over all exposures.
    background : float
        Sky and dark electrons over all exposures.
    read_variance : float
        electrons^2 over all exposures.
    source_noise : bool
        False where the survey's photons are not known: the source itself then adds no noise.
    """

    electrons_per_njy: float
    background: float
    read_variance: float
    source_noise: bool = True

    @property
    def sigma_njy(self) -> float:
        """Standard deviation of a blank pixel [nJy]."""
        return float(np.sqrt(self.background + self.read_variance) / self.electrons_per_njy)

    def of_exposures(self, fraction: float) -> NoiseLevel:
        """The noise level of a `fraction` of the exposures."""
        return NoiseLevel(
            self.electrons_per_njy * fraction,
            self.background * fraction,
            self.read_variance * fraction,
            self.source_noise,
        )


def level(survey: Survey, band: Band, psf: Psf) -> NoiseLevel:
    """Return the noise of `band`, from the instrument or from the published depth, as the preset says."""
    scale = survey.pixel_scale.value
    if survey.mode == "instrument":
        seconds = band.exposures.value * band.exposure_time.value
        per_njy = seconds * 10 ** (0.4 * (band.zero_point.value - AB_ZERO_POINT_NJY))
        sky = seconds * scale**2 * 10 ** (0.4 * (band.zero_point.value - band.sky.value))
        dark = 0.0 if band.dark is None else seconds * band.dark.value
        return NoiseLevel(per_njy, sky + dark, band.exposures.value * band.read_noise.value**2)
    return _level_from_depth(survey, band, psf)


def _level_from_depth(survey: Survey, band: Band, psf: Psf) -> NoiseLevel:
    """Noise per pixel that gives the published depth; the source's photons where a zero point is known."""
    depth = band.depth
    sigma = float(njy_from_mag(depth.value)) / depth.snr / np.sqrt(noise_pixels(depth, psf, survey))
    known = band.zero_point is not None and band.exposures is not None and band.exposure_time is not None
    if known:
        seconds = band.exposures.value * band.exposure_time.value
        per_njy = seconds * 10 ** (0.4 * (band.zero_point.value - AB_ZERO_POINT_NJY))
        return NoiseLevel(per_njy, (sigma * per_njy) ** 2, 0.0)
    # A unit gain scaled so that the sky is far in the Gaussian limit; the source adds nothing.
    per_njy = 1e3 / sigma
    return NoiseLevel(per_njy, (sigma * per_njy) ** 2, 0.0, source_noise=False)


def licensed(kind: str, noise: NoiseLevel) -> str:
    """Return the statistics used: ``gaussian`` only where the background alone has 1000 electrons."""
    if kind == "gaussian" and noise.background < GAUSSIAN_FROM:
        return "exact"
    return "gaussian" if kind == "exact" and not noise.source_noise else kind


def add_noise(truth: Tensor, noise: NoiseLevel, kind: str, generators: Sequence[torch.Generator]) -> Tensor:
    """Return noisy, sky-subtracted planes.

    Parameters
    ----------
    truth : Tensor
        (N, H, W) noiseless flux [nJy / pixel].
    noise : NoiseLevel
    kind : str
        ``exact`` draws Poisson variates; ``gaussian`` normal ones of the same variance; ``source`` Poisson
        variates of the source alone, for real sky that brings its own noise; ``none`` copies.
    generators : sequence of torch.Generator
        N streams, one of each image in this band: a plane does not depend on the others.
    """
    if kind == "none" or (kind == "source" and not noise.source_noise):
        return truth.clone()
    if len(truth) > _AT_ONCE:
        starts = range(0, len(truth), _AT_ONCE)
        cuts = [slice(start, start + _AT_ONCE) for start in starts]
        return torch.cat([add_noise(truth[cut], noise, kind, generators[cut]) for cut in cuts])
    if kind == "gaussian":
        return _gaussian(truth, noise, generators)
    background = 0.0 if kind == "source" else noise.background
    expected = truth.mul(noise.electrons_per_njy).add_(background)
    # A negative expectation (the input's own noise) cannot be drawn; its mean is kept, without noise.
    negative = expected.clamp(max=0) if float(expected.min()) < 0 else None
    drawn = poisson(expected.clamp_(min=0), generators)
    if kind == "exact" and noise.read_variance > 0:
        drawn.add_(_normal(truth, generators), alpha=noise.read_variance**0.5)
    if negative is not None:
        drawn.add_(negative)
    return drawn.sub_(background).mul_(1 / noise.electrons_per_njy)


def _gaussian(truth: Tensor, noise: NoiseLevel, generators: Sequence[torch.Generator]) -> Tensor:
    normal = _normal(truth, generators)
    if not noise.source_noise:
        return normal.mul_(noise.sigma_njy).add_(truth)
    blank = noise.background + noise.read_variance
    sigma = truth.mul(noise.electrons_per_njy).add_(blank).clamp_(min=0).sqrt_()
    return normal.mul_(sigma).mul_(1 / noise.electrons_per_njy).add_(truth)


def _normal(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Normal variates, each plane from its own generator."""
    normal = torch.empty_like(like)
    for plane, generator in zip(normal, generators, strict=True):
        plane.normal_(generator=generator)
    return normal


def inverse_variance(truth: Tensor, noise: NoiseLevel, kind: str) -> Tensor:
    """Return the inverse variance [nJy^-2] of each pixel, in the shape of `truth` [nJy].

    The source's photons are included; 0 for the `kind` "none".
    """
    if kind == "none":
        return torch.zeros_like(truth)
    variance = torch.full_like(truth, noise.background + noise.read_variance)
    if noise.source_noise:
        variance += (truth * noise.electrons_per_njy).clamp(min=0)
    return noise.electrons_per_njy**2 / variance
