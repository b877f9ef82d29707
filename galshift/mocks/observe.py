"""Observe galaxies as a survey would: PSF, pixels, photons, sky and detector, chained.

Every random number comes from a stream named by the survey, the image, the band and the stage, so a mock's
pixels depend on nothing else: not on the batch, the order, the number of workers or the other bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from galshift.data.cutouts import Cutouts
from galshift.mocks.bands import match_bands
from galshift.mocks.noise import NoiseLevel, add_noise, inverse_variance, level, licensed
from galshift.mocks.optics import View, input_psf, kernel, output_side, render
from galshift.mocks.psf import Psf, from_model, load_kernel
from galshift.mocks.units import to_njy
from galshift.streams import torch_stream
from galshift.surveys.schema import Survey
from galshift.types import Strict


class ObserveConfig(Strict):
    """How to observe.

    Attributes
    ----------
    noise : {"exact", "gaussian", "none"}
        Poisson photons; the Gaussian limit, used only where the sky alone gives 1000 electrons; or neither.
    size : int or None
        Side of the output in pixels; None covers the input's footprint.
    band_map : dict
        Survey band by input band (``{"F814W": "i"}``), where names differ.
    psf : str or None
        FITS or ``.npy`` kernel instead of the preset's PSF.
    psf_pixel_scale_arcsec : float or None
        Of that kernel, where its header does not say; the survey's pixel scale otherwise.
    input_psf : {"own", "none"} or float or str
        What the input shows a point as: what its file carries, nothing, a FWHM [arcsec] measured on it, or a
        kernel file.
    """

    noise: Literal["exact", "gaussian", "none"] = "exact"
    size: int | None = Field(None, ge=1, le=16384)
    band_map: dict[str, str] = Field(default_factory=dict)
    psf: str | None = None
    psf_pixel_scale_arcsec: float | None = Field(None, gt=0)
    input_psf: float | str = "own"


@dataclass(frozen=True)
class Observation:
    """Mocks, what they would be without noise, and an account of each.

    Attributes
    ----------
    cutouts : Cutouts
        In nJy per pixel, with `ivar`, `psf` (C, P, P) and `psf_fwhm` (N, C).
    truth : ndarray
        (N, C, H, W) float32 noiseless flux [nJy / pixel], with the PSF and the survey's pixels.
    records : list of dict
        One JSON-able account per image.
    """

    cutouts: Cutouts
    truth: np.ndarray
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class BandView:
    """One band of a set of images before its noise: the PSF of each image, the noise level and the light.

    Attributes
    ----------
    name : str
    psf : Psf
        The band's nominal PSF.
    fwhm : ndarray
        (N,) arcsec.
    noise : NoiseLevel
    truth : Tensor
        (N, H, W) nJy / pixel.
    """

    name: str
    psf: Psf
    fwhm: np.ndarray
    noise: NoiseLevel
    truth: Tensor


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

    Raises
    ------
    DataError
        When unit, pixel scale or bands are missing, or the survey's PSF is sharper than the input's.
    """
    config = config or ObserveConfig()
    cutouts = to_njy(cutouts)
    matched = match_bands(cutouts.bands, preset, bands, config.band_map)
    views = [see(cutouts, index, preset, band, config, device) for band, index in matched.items()]
    noisy, ivar = [], []
    for view in views:
        statistics = licensed(config.noise, view.noise)
        drawn = torch.empty_like(view.truth)
        for i, name in enumerate(cutouts.ids):
            stream = torch_stream(seed, "make-mocks", preset.name, name, view.name, "noise", device=device)
            drawn[i] = add_noise(view.truth[i], view.noise, statistics, stream)
        noisy.append(drawn)
        ivar.append(inverse_variance(view.truth, view.noise, statistics))
    return _collect(cutouts, preset, views, noisy, ivar, config)


def see(
    cutouts: Cutouts, index: int, preset: Survey, band: str, config: ObserveConfig, device: str = "cpu"
) -> BandView:
    """Return one band as the survey's telescope would focus it, without noise."""
    n, (height, width) = len(cutouts), cutouts.images.shape[2:]
    scale_out = preset.pixel_scale.value
    scales = np.broadcast_to(np.asarray(cutouts.pixel_scale, dtype=float), (n,))
    psf: Psf = from_model(preset.psf, preset.bands[band], scale_out)
    if config.psf is not None:
        psf = load_kernel(config.psf, config.psf_pixel_scale_arcsec, scale_out)
    side = [config.size or output_side(side, scales.max(), scale_out) for side in (height, width)]
    views = [
        View(float(scales[i]), scale_out, psf, _input_psf_of(cutouts, i, index, config, float(scales[i])))
        for i in range(n)
    ]
    images = np.where(np.isfinite(cutouts.images[:, index]), cutouts.images[:, index], 0)
    truth = render(images, views, (side[0], side[1]), device=device)
    noise = level(preset, preset.bands[band], psf)
    return BandView(band, psf, np.full(n, psf.fwhm()), noise, truth)


def _input_psf_of(cutouts: Cutouts, i: int, band: int, config: ObserveConfig, scale: float) -> Psf | None:
    """What image `i` of the input shows a point as, in one band."""
    own, fwhm = cutouts.psf, cutouts.psf_fwhm
    if own is not None:
        own = own[i, band] if own.ndim == 4 else own[band] if own.ndim == 3 else own
    if fwhm is not None:
        fwhm = np.asarray(fwhm, dtype=float)
        fwhm = float(fwhm[i, band] if fwhm.ndim == 2 else fwhm[i] if fwhm.ndim == 1 else fwhm)
    return input_psf(config.input_psf, scale, own, cutouts.psf_pixel_scale, fwhm)


def _collect(
    cutouts: Cutouts,
    preset: Survey,
    views: list[BandView],
    noisy: list[Tensor],
    ivar: list[Tensor],
    config: ObserveConfig,
) -> Observation:
    """Gather the bands into one container and one account per image."""
    truth = torch.stack([view.truth for view in views], dim=1).cpu().numpy()
    images = torch.stack(noisy, dim=1).cpu().numpy()
    scale = preset.pixel_scale.value
    kernels = [kernel(view.psf, scale) for view in views]
    side = max(k.shape[0] for k in kernels)
    made = cutouts.with_(
        f"make-mocks {preset.name}",
        images=images,
        unit="nJy",
        pixel_scale=scale,
        bands=tuple(view.name for view in views),
        mask=None,
        ivar=torch.stack(ivar, dim=1).cpu().numpy(),
        psf=np.stack([np.pad(k, (side - k.shape[0]) // 2) for k in kernels]),
        psf_pixel_scale=scale,
        psf_fwhm=np.stack([view.fwhm for view in views], axis=1).astype(np.float32),
        survey=preset.name,
    )
    records = [
        {
            "id": str(cutouts.ids[i]),
            "group": str(cutouts.groups[i]),
            "bands": {view.name: _record(view, truth[i, c], i, config) for c, view in enumerate(views)},
        }
        for i in range(len(cutouts))
    ]
    return Observation(made, truth, records)


def _record(view: BandView, truth: np.ndarray, i: int, config: ObserveConfig) -> dict[str, Any]:
    """The account of one image in one band."""
    return {
        "fwhm_arcsec": float(view.fwhm[i]),
        "sky_sigma_njy": view.noise.sigma_njy if config.noise != "none" else 0.0,
        "flux_njy": float(truth.sum(dtype=np.float64)),
        "peak_snr": float(truth.max() / view.noise.sigma_njy),
        "noise": licensed(config.noise, view.noise),
    }
