"""Observe galaxies as a survey would: PSF, pixels, photons, sky and detector, chained.

Every random number comes from a stream named by the survey, the image, the band and the stage, so a mock's
pixels depend on nothing else: not on the batch, the order, the number of workers or the other bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from galshift.data.cutouts import Cutouts
from galshift.mocks import artifacts, correlation, sky
from galshift.mocks.config import ObserveConfig
from galshift.mocks.look import Look, look
from galshift.mocks.noise import add_noise, inverse_variance, licensed
from galshift.mocks.optics import kernel
from galshift.streams import numpy_stream, torch_stream
from galshift.surveys.schema import Survey


@dataclass(frozen=True)
class Observation:
    """Mocks, what they would be without noise, and an account of each.

    Attributes
    ----------
    cutouts : Cutouts
        In nJy per pixel, with `ivar`, `mask` (True = touched by a fault), `psf` (C, P, P), `psf_fwhm` (N, C).
    truth : ndarray
        (N, C, H, W) float32 noiseless flux [nJy / pixel], with the PSF and the survey's pixels.
    records : list of dict
        One JSON-able account per image.
    notes : tuple of str
        What a user should know of all of them.
    """

    cutouts: Cutouts
    truth: np.ndarray
    records: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


def observe(
    cutouts: Cutouts,
    preset: Survey,
    *,
    bands: tuple[str, ...] | None = None,
    config: ObserveConfig | None = None,
    seed: int = 42,
    device: str = "cpu",
) -> Cutouts:
    """Return `cutouts` as the survey `preset` would see them; see :func:`observe_in_full`."""
    return observe_in_full(cutouts, preset, bands=bands, config=config, seed=seed, device=device).cutouts


def observe_in_full(
    cutouts: Cutouts,
    preset: Survey,
    *,
    bands: tuple[str, ...] | None = None,
    config: ObserveConfig | None = None,
    seed: int = 42,
    device: str = "cpu",
    shape: tuple[int, int] | None = None,
) -> Observation:
    """Observe galaxies with a survey and account for every image.

    Parameters
    ----------
    cutouts : Cutouts
        In any flux unit or surface brightness, with a pixel scale.
    preset : Survey
    bands : tuple of str, optional
        The survey's bands to make; by default all that the input can serve.
    config : ObserveConfig, optional
    seed : int
    device : str
        ``cpu`` or a CUDA device; both follow the seed, but their random numbers differ.
    shape : tuple of int, optional
        (H, W) of the output where ``config.size`` is None; by default what the input's footprint covers.

    Raises
    ------
    DataError
        When unit, pixel scale or bands are missing, or the survey's PSF is sharper than the input's.
    ConfigError
        When a redshift is asked for without a way to choose the light it shows.
    """
    config = config or ObserveConfig()
    seen = look(cutouts, preset, bands, config, seed, device=device, shape=shape)
    return develop(seen, expose(seen, config, seed, device), config, seed)


def expose(
    seen: Look,
    config: ObserveConfig,
    seed: int,
    device: str = "cpu",
    *,
    stage: str = "noise",
    fractions: dict[str, float] | None = None,
) -> list[Tensor]:
    """Return noisy, sky-subtracted planes (N, H, W) [nJy / pixel], one per band.

    Parameters
    ----------
    seen : Look
    config : ObserveConfig
    seed, device
        See :func:`observe_in_full`.
    stage : str
        Names the random stream.
    fractions : dict, optional
        Part of the exposures to take, by band.
    """
    drawn = []
    for view in seen.views:
        level = view.noise.of_exposures((fractions or {}).get(view.name, 1.0))
        statistics = "source" if config.sky is not None and config.noise != "none" else config.noise
        statistics = licensed(statistics, level)
        path = (seen.survey.name, view.name, stage)
        streams = [_stream(seed, name, *path, device) for name in seen.cutouts.ids]
        drawn.append(add_noise(view.truth, level, statistics, streams))
    return drawn


def _stream(seed: int, name: str, survey: str, band: str, stage: str, device: str) -> torch.Generator:
    return torch_stream(seed, "make-mocks", survey, name, band, stage, device=device)


def develop(seen: Look, noisy: list[Tensor], config: ObserveConfig, seed: int) -> Observation:
    """Turn exposed planes into finished mocks: correlation, sky, faults, masks and accounts.

    Parameters
    ----------
    seen : Look
    noisy : list of Tensor
        (N, H, W) [nJy] of each band of `seen`.
    config : ObserveConfig
    seed : int
    """
    lags = autocorrelation(seen.survey, config)
    if lags is not None and config.noise != "none":
        noisy = [v.truth + correlation.correlate(x - v.truth, lags) for v, x in zip(seen.views, noisy)]
    images = torch.stack(noisy, dim=1).cpu().numpy()
    truth = torch.stack([view.truth for view in seen.views], dim=1).cpu().numpy()
    ivar = (
        torch.stack([inverse_variance(v.truth, v.noise, config.noise) for v in seen.views], dim=1)
        .cpu()
        .numpy()
    )
    if lags is not None:
        ivar /= correlation.pixel_variance_ratio(lags)
    mask = seen.input_mask.copy()
    records = [_record(seen, i, truth[i], config) for i in range(len(truth))]
    for i, record in enumerate(records):
        record |= _sky_and_faults(seen, i, images, mask, config, seed)
        if config.sky is not None:
            _weigh_by_sky(seen, record, truth[i], ivar[i], config)
    ivar[mask] = 0
    kernels = [kernel(view.psf, seen.survey.pixel_scale.value) for view in seen.views]
    side = max(k.shape[0] for k in kernels)
    finished = seen.cutouts.with_(
        f"make-mocks {seen.survey.name}",
        images=images,
        unit="nJy",
        pixel_scale=seen.survey.pixel_scale.value,
        bands=tuple(view.name for view in seen.views),
        mask=mask,
        ivar=ivar,
        psf=np.stack([np.pad(k, (side - k.shape[0]) // 2) for k in kernels]),
        psf_pixel_scale=seen.survey.pixel_scale.value,
        psf_fwhm=np.stack([view.fwhm for view in seen.views], axis=1).astype(np.float32),
        survey=seen.survey.name,
    )
    return Observation(finished, truth, records, seen.notes)


def _sky_and_faults(
    seen: Look, i: int, images: np.ndarray, mask: np.ndarray, config: ObserveConfig, seed: int
) -> dict[str, Any]:
    """Add sky and faults to image `i` of `images` and `mask` in place; return their account."""
    name = seen.cutouts.ids[i]
    account: dict[str, Any] = {}

    def stream(stage: str, band: str = "") -> np.random.Generator:
        return numpy_stream(seed, "make-mocks", seen.survey.name, name, band, stage)

    if config.sky is not None:
        blank = sky.open_sky(config.sky, seen.survey.pixel_scale.value)
        bands = tuple(view.name for view in seen.views)
        piece = sky.draw(blank, bands, images.shape[2:], stream("sky"))
        images[i] += piece.image
        mask[i] |= piece.mask
        account |= {"sky": piece.name, "sky_contaminated": piece.contaminated}
        account["real_sky_sigma_njy"] = dict(zip(bands, piece.sigma))
    if config.sky_residual > 0:
        account["sky_residual_njy"] = {}
        for c, view in enumerate(seen.views):
            level = view.noise.background / view.noise.electrons_per_njy
            rng = stream("sky-residual", view.name)
            plane, offset = sky.residual(images.shape[2:], level, config.sky_residual, rng)
            images[i, c] += plane
            account["sky_residual_njy"][view.name] = offset
    if config.artifacts.any:
        marks = mask[i] if config.artifacts.flagged else mask[i].copy()
        plate = artifacts.Plate(
            images[i], marks, [v.noise for v in seen.views], [v.exposures for v in seen.views]
        )
        account["artifacts"] = artifacts.add_artifacts(plate, config.artifacts, stream)
    return account


def _weigh_by_sky(
    seen: Look, record: dict[str, Any], truth: np.ndarray, ivar: np.ndarray, config: ObserveConfig
) -> None:
    """Take the noise of real sky, not the preset's, into an image's `ivar` (in place) and account."""
    for c, (view, sigma) in enumerate(zip(seen.views, record.pop("real_sky_sigma_njy").values())):
        photons = view.noise.source_noise and config.noise != "none"
        source = np.maximum(truth[c], 0) / view.noise.electrons_per_njy if photons else 0.0
        ivar[c] = 1 / (sigma**2 + source) if sigma > 0 else 0.0
        record["bands"][view.name] |= {
            "sky_sigma_njy": sigma,
            "noise": "source photons and real sky" if photons else "real sky",
            "peak_over_sky_sigma": float(truth[c].max() / sigma) if sigma > 0 else None,
        }


def autocorrelation(survey: Survey, config: ObserveConfig) -> np.ndarray | None:
    """Return the noise autocorrelation (n, n) to give, 1 at its centre; None where the noise is white."""
    if config.noise_correlation == "none":
        return None
    if config.noise_correlation != "preset":
        return correlation.load_autocorrelation(config.noise_correlation)
    return None if survey.noise_correlation is None else np.asarray(survey.noise_correlation)


def _record(seen: Look, i: int, truth: np.ndarray, config: ObserveConfig) -> dict[str, Any]:
    """The account of one image: where its numbers came from, band by band."""
    bands = {}
    for c, view in enumerate(seen.views):
        sigma = view.noise.sigma_njy
        bands[view.name] = {
            "fwhm_arcsec": float(view.fwhm[i]),
            "sky_sigma_njy": 0.0 if config.noise == "none" else sigma,
            "noise": licensed(config.noise, view.noise),
            "flux_njy": float(truth[c].sum(dtype=np.float64)),
            "peak_over_sky_sigma": float(truth[c].max() / sigma),
        }
    account = {"id": str(seen.cutouts.ids[i]), "group": str(seen.cutouts.groups[i]), "bands": bands}
    if seen.input_mask[i].all():
        account["no_good_pixel"] = True
    if seen.shifts is not None:
        account["shift_pixels"] = [float(value) for value in seen.shifts[i]]
    return account
