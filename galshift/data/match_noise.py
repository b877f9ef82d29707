"""Bring one domain's noise up to the other's, so that what still differs is the galaxies.

Noise gives a survey away before any galaxy does.  Sky and photon noise are measured in the images of both
domains themselves by a photon-transfer curve (Janesick 2007), pixel variance against flux; no labels, no
survey preset and no variance map is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import conv2d

from galshift.streams import torch_stream
from galshift.types import Strict

# Immerkaer 1996 (Computer Vision and Image Understanding 64, 300): blind to planes; its squares add up to 36.
_ROUGH = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
_EDGES = (-2.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)  # of flux, in the noisier sky's sigma
_ENOUGH = 200  # pixels of a bin
_LEAST = 1e-4  # weight of a bright bin beside the sky's, which has nearly all pixels


class Excess(Strict):
    """How much noisier one domain is: variance ``sky + photon * flux`` to add, band by band.

    Attributes
    ----------
    sky : list of float
        Squared flux unit of the images; negative where the other domain is the noisier one.
    photon : list of float
        Flux unit of the images.
    """

    sky: list[float] = Field(min_length=1)
    photon: list[float] = Field(min_length=1)

    def reversed(self) -> Excess:
        """Return what the other domain lacks."""
        return Excess(sky=[-value for value in self.sky], photon=[-value for value in self.photon])


def rough_variance(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return local noise variance and mean flux around each inner pixel.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W) linear flux; white noise is assumed, so that of correlated noise only the part on the
        scale of a pixel counts.

    Returns
    -------
    tuple of Tensor
        (C, N (H-2) (W-2)) each; the variance is that of single pixels on average where the image is a plane
        within 3 x 3 pixels.
    """
    n, c, height, width = images.shape
    planes = images.reshape(-1, 1, height, width)
    kernel = torch.tensor(_ROUGH, dtype=images.dtype)[None, None] / 6
    variance = conv2d(planes, kernel).square()
    flux = conv2d(planes, torch.full_like(kernel, 1 / 9))
    return tuple(x.reshape(n, c, -1).transpose(0, 1).flatten(1) for x in (variance, flux))


def noise_excess(source: Tensor, target: Tensor, limit: int = 2000) -> Excess:
    """Return the variance that the source lacks to be as noisy as the target.

    In bins of flux, the difference of both domains' local variance is fitted by a line; what structure adds
    to the variance is about the same in either domain and falls out.

    Parameters
    ----------
    source, target : Tensor
        (N, C, H, W) and (M, C, H, W) linear flux on the same pixel scale and in the same unit.
    limit : int
        Images of each domain that are looked at, evenly spread.
    """
    measured = [rough_variance(_sample(images, limit)) for images in (source, target)]
    lines = [_line(*[(v[band], f[band]) for v, f in measured]) for band in range(source.shape[1])]
    return Excess(sky=[line[0] for line in lines], photon=[line[1] for line in lines])


def _sample(images: Tensor, limit: int) -> Tensor:
    """An even sample of at most `limit` images."""
    return images[torch.linspace(0, len(images) - 1, min(limit, len(images))).long()]


def _line(source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Intercept and slope of the variance difference over flux, weighted by how well each bin is known."""
    # Most pixels are sky: the median is its variance, and 2.2 undoes that of a squared normal number.
    sigma = max(float(2.2 * variance.median()) for variance, _ in (source, target)) ** 0.5
    edges = torch.tensor(_EDGES, dtype=source[0].dtype) * (sigma or 1.0)
    (v_s, f_s, n_s), (v_t, f_t, n_t) = (_binned(*domain, edges) for domain in (source, target))
    kept = (n_s >= _ENOUGH) & (n_t >= _ENOUGH)
    kept[0] = True
    difference, flux = (v_t - v_s)[kept], 0.5 * (f_s + f_t)[kept]
    weight = 1 / (v_s.square() / n_s + v_t.square() / n_t).clamp_min(1e-30)[kept]
    weight = (weight / weight.max()).clamp_min(_LEAST)
    weight = weight / weight.sum()
    mean_f, mean_d = weight @ flux, weight @ difference
    spread = weight @ (flux - mean_f).square()
    slope = weight @ ((flux - mean_f) * (difference - mean_d)) / spread if spread > 0 else 0 * mean_d
    return float(mean_d - slope * mean_f), float(slope)


def _binned(variance: Tensor, flux: Tensor, edges: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean variance, mean flux and number of pixels in each bin of flux; at least one pixel is pretended."""
    place = torch.bucketize(flux, edges)
    counts, *sums = (
        torch.bincount(place, weights=w, minlength=len(edges) + 1)[1:-1] for w in (None, variance, flux)
    )
    n = counts.to(variance.dtype).clamp_min(1)
    return sums[0] / n, sums[1] / n, n


def match_noise(images: Tensor, excess: Excess, noise: Tensor) -> Tensor:
    """Return images with the missing noise added; where there is an excess instead, nothing is added.

    Parameters
    ----------
    images : Tensor
        (B, C, H, W) linear flux.
    excess : Excess
    noise : Tensor
        Of the images' shape, standard normal.
    """
    sky, photon = (torch.tensor(v).to(images).view(1, -1, 1, 1) for v in (excess.sky, excess.photon))
    variance = sky + photon * images.clamp_min(0)
    return images + variance.clamp_min(0).sqrt() * noise


class NoiseMatcher:
    """Adds the missing noise anew at every draw: a ``TrainingSet.observe``.

    It acts before augmentation, which must treat both domains' noise alike: a sub-pixel shift smooths noise,
    and noise put on top of it would give the domain away again.

    Parameters
    ----------
    excess : Excess
    seed : int
    """

    def __init__(self, excess: Excess, seed: int) -> None:
        self.excess, self.seed = excess, seed

    def __call__(self, linear: Tensor, ids: Sequence[str], draws: Sequence[int]) -> Tensor:
        """Return (B, C, S, S) images with noise that follows from each one's name and draw alone."""
        drawn = [
            torch.randn(linear.shape[1:], generator=torch_stream(self.seed, "match-noise", name, draw))
            for name, draw in zip(ids, draws, strict=True)
        ]
        return match_noise(linear, self.excess, torch.stack(drawn).to(linear))
