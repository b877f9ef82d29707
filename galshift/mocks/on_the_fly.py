"""Observe batches inside a training loop: a new mock at every pass, so that a million need not be stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from galshift.data.cutouts import Cutouts
from galshift.errors import ConfigError, DataError
from galshift.mocks import correlation
from galshift.mocks.config import ObserveConfig
from galshift.mocks.look import draw_seeing, draw_shifts, targets
from galshift.mocks.noise import NoiseLevel, add_noise, level, licensed
from galshift.mocks.observe import autocorrelation
from galshift.mocks.optics import View, input_psf, output_side, render
from galshift.streams import torch_stream
from galshift.surveys.schema import Survey

#: Choices of ObserveConfig that need more than an image, and have no place in a loop.
_STORED_ONLY = ("redshift", "to_redshift", "pixel_scale_parsec", "sky", "sky_residual", "artifacts")


@dataclass(frozen=True)
class Observer:
    """A survey as an augmentation: linear images in, mocks out.

    All randomness follows from the image's name and the number of the pass, so that a resumed run, another
    batch size or another number of processes sees the same images.  The mock of pass d of galaxy ``g`` is, to
    the bit, what :func:`galshift.mocks.observe.observe` makes of an image called ``g/d``.

    Attributes
    ----------
    survey : Survey
    bands : tuple of str
        The survey's bands, one for each channel, in order.
    pixel_scale : float
        Of the input [arcsec].
    config : ObserveConfig
        Without redshift, real sky and faults; ``seeing="quartiles"`` and ``random_phase=True`` vary most.
    seed : int
    """

    survey: Survey
    bands: tuple[str, ...]
    pixel_scale: float
    config: ObserveConfig = field(default_factory=ObserveConfig)
    seed: int = 42

    def __post_init__(self) -> None:
        plain = ObserveConfig()
        asked = [name for name in _STORED_ONLY if getattr(self.config, name) != getattr(plain, name)]
        if asked:
            raise ConfigError(
                f"{', '.join(asked)} cannot be observed on the fly",
                hint="make the mocks first, with make-mocks",
            )
        missing = [band for band in self.bands if band not in self.survey.bands]
        if missing:
            raise DataError(f"{self.survey.name} has no band {', '.join(missing)}")

    def side(self, n: int) -> int:
        """Return the pixels along a side of the mock of an image of `n` pixels."""
        return self.config.size or output_side(n, self.pixel_scale, self.survey.pixel_scale.value)

    def __call__(self, linear: Tensor, ids: Sequence[str], draws: Sequence[int]) -> Tensor:
        """Return mocks [nJy / pixel of the survey].

        Parameters
        ----------
        linear : Tensor
            (B, C, H, W) float32, nJy per pixel.
        ids : sequence of str
            B names.
        draws : sequence of int
            B numbers of the pass.

        Returns
        -------
        Tensor
            (B, C, H', W') float32 on the device of `linear`.
        """
        names = np.array([f"{name}/{draw}" for name, draw in zip(ids, draws, strict=True)])
        shape = self.side(linear.shape[2]), self.side(linear.shape[3])
        shifts = draw_shifts(names, self.survey, self.seed) if self.config.random_phase else None
        if self.config.seeing == "quartiles":
            factors = draw_seeing(names, self.survey, self.seed)
        else:
            factors = np.ones(len(names))
        planes = [
            self._band(linear[:, c], band, names, factors, shape, shifts) for c, band in enumerate(self.bands)
        ]
        return torch.stack(planes, dim=1)

    def _band(
        self,
        images: Tensor,
        band: str,
        names: np.ndarray,
        factors: np.ndarray,
        shape: tuple[int, int],
        shifts: np.ndarray | None,
    ) -> Tensor:
        psf, seen = targets(self.survey, band, self.config, factors)
        own = None
        if self.config.input_psf not in ("own", "none"):
            own = input_psf(self.config.input_psf, self.pixel_scale, None, None, None)
        scale = self.survey.pixel_scale.value
        views = [View(self.pixel_scale, scale, seen[factor], own) for factor in factors]
        truth = render(images, views, shape, shifts=shifts, device=str(images.device))
        noise = level(self.survey, self.survey.bands[band], psf)
        return self._exposed(truth, noise, band, names)

    def _exposed(self, truth: Tensor, noise: NoiseLevel, band: str, names: np.ndarray) -> Tensor:
        kind = licensed(self.config.noise, noise)
        path, device = ("make-mocks", self.survey.name), str(truth.device)
        streams = [torch_stream(self.seed, *path, name, band, "noise", device=device) for name in names]
        made = add_noise(truth, noise, kind, streams)
        lags = autocorrelation(self.survey, self.config)
        if lags is None or kind == "none":
            return made
        return truth + correlation.correlate(made - truth, lags)


def observer_for(
    cutouts: Cutouts, survey: Survey, *, config: ObserveConfig | None = None, seed: int = 42
) -> Observer:
    """Return the observer for images like `cutouts`, in nJy, whose bands are the survey's.

    Raises
    ------
    DataError
        When the images are not in nJy, have no single pixel scale, or bands that the survey lacks.
    """
    if cutouts.unit != "nJy":
        raise DataError(f"images to observe on the fly are in nJy per pixel, not {cutouts.unit}")
    if cutouts.pixel_scale is None or np.ptp(cutouts.pixel_scale) > 0:
        raise DataError("images to observe on the fly have one known pixel scale")
    scale = float(np.ravel(cutouts.pixel_scale)[0])
    return Observer(survey, tuple(cutouts.bands), scale, config or ObserveConfig(), seed)
