"""Look at galaxies through a survey's telescope: the right light, distance, PSF and pixels, without noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from galshift.data.cutouts import Cutouts
from galshift.data.psf_files import kernel_notes, load_kernel
from galshift.errors import ConfigError, DataError
from galshift.mocks import redshift as redshift_
from galshift.mocks.bands import match_bands
from galshift.mocks.config import ObserveConfig
from galshift.mocks.noise import NoiseLevel, level
from galshift.mocks.optics import View, input_psf, output_side, render
from galshift.mocks.psf import Psf, from_model
from galshift.mocks.units import to_njy
from galshift.streams import numpy_stream
from galshift.surveys.schema import Survey

#: Seeing is drawn on a grid of 2 % steps, so that images of equal seeing share a plan.
_SEEING_STEP = 0.02


@dataclass(frozen=True)
class BandView:
    """One band before its noise.

    Attributes
    ----------
    name : str
    psf : Psf
        The band's nominal PSF.
    fwhm : ndarray
        (N,) arcsec, of each image.
    noise : NoiseLevel
    exposures : float
        In the coadd; 1 where not known.
    truth : Tensor
        (N, H, W) nJy / pixel.
    """

    name: str
    psf: Psf
    fwhm: np.ndarray
    noise: NoiseLevel
    exposures: float
    truth: Tensor


@dataclass(frozen=True)
class Look:
    """What the survey would see of a set of galaxies without noise.

    Attributes
    ----------
    cutouts : Cutouts
        The input in nJy, at its final distance.
    survey : Survey
    views : list of BandView
    input_mask : ndarray
        (N, C, H, W) bool: output pixels that hold a bad pixel of the input.
    shifts : ndarray or None
        (N, 2) output pixels by which the images were moved.
    notes : tuple of str
    """

    cutouts: Cutouts
    survey: Survey
    views: list[BandView]
    input_mask: np.ndarray
    shifts: np.ndarray | None
    notes: tuple[str, ...]


def look(
    cutouts: Cutouts,
    preset: Survey,
    bands: tuple[str, ...] | None,
    config: ObserveConfig,
    seed: int,
    *,
    device: str = "cpu",
    shape: tuple[int, int] | None = None,
) -> Look:
    """Return `cutouts` as the survey's telescope focuses them; see ``observe_in_full``."""
    matched = match_bands(cutouts.bands, preset, bands, config.band_map)
    cutouts, weights = place(cutouts, preset, matched, config)
    scales = np.broadcast_to(np.asarray(cutouts.pixel_scale, dtype=float), (len(cutouts),))
    scale_out = preset.pixel_scale.value
    if config.size is not None:
        shape = (config.size, config.size)
    if shape is None:
        shape = tuple(output_side(side, float(scales.max()), scale_out) for side in cutouts.images.shape[2:])
    shifts = draw_shifts(cutouts.ids, preset, seed) if config.random_phase else None
    factors = (
        draw_seeing(cutouts.ids, preset, seed) if config.seeing == "quartiles" else np.ones(len(cutouts))
    )
    views, masks, sources = [], [], {}
    for band, mixture in weights.items():
        image, bad = _mixed(cutouts, mixture)
        psf, wanted = targets(preset, band, config, factors)
        seen = [
            View(
                float(scales[i]),
                scale_out,
                wanted[factors[i]],
                _own_psf(cutouts, i, mixture, config, scales[i]),
            )
            for i in range(len(cutouts))
        ]
        sources[band] = seen[0].source if seen else None
        truth = render(image, seen, shape, shifts=shifts, device=device)
        fwhm = np.array([view.target.fwhm() for view in seen])
        noise = level(preset, preset.bands[band], psf)
        exposures = preset.bands[band].exposures
        views.append(BandView(band, psf, fwhm, noise, exposures.value if exposures else 1.0, truth))
        masks.append(_moved_mask(bad, scales, scale_out, shape))
    notes = _notes(cutouts, views, scales, scale_out)
    if config.psf is not None:
        notes += kernel_notes(
            config.psf,
            {v.name: v.psf for v in views},
            {v.name: preset.bands[v.name].fwhm.value for v in views},
        )
    if isinstance(config.input_psf, str) and config.input_psf not in ("own", "none"):
        notes += kernel_notes(config.input_psf, sources, {})
    return Look(cutouts, preset, views, np.stack(masks, axis=1), shifts, notes)


def place(
    cutouts: Cutouts, preset: Survey, matched: dict[str, int], config: ObserveConfig
) -> tuple[Cutouts, dict[str, dict[int, float]]]:
    """Return the input in nJy at its final redshift, and which of its bands make each of the survey's."""
    z_from, z_to = config.redshift, config.to_redshift
    if config.pixel_scale_parsec is not None:
        return _place_physical(cutouts, preset, matched, config)
    cutouts = to_njy(cutouts)
    if z_to is None or z_to == z_from:
        return cutouts, {band: {index: 1.0} for band, index in matched.items()}
    return redshift_.move(cutouts, z_from, z_to), _light(cutouts, preset, matched, config, z_from, z_to)


def _place_physical(
    cutouts: Cutouts, preset: Survey, matched: dict[str, int], config: ObserveConfig
) -> tuple[Cutouts, dict[str, dict[int, float]]]:
    """As `place` for pixels in parsec: surface brightness is what is known, and z = 0 is a place to start."""
    z_from, z_to = config.redshift or 0.0, config.to_redshift or config.redshift
    angle = redshift_.arcsec_per_pixel(config.pixel_scale_parsec, z_to)
    cutouts = to_njy(cutouts.with_(pixel_scale=angle))
    if z_to == z_from:
        return cutouts, {band: {index: 1.0} for band, index in matched.items()}
    dimmed = cutouts.images * np.float32(redshift_.dimming(z_from, z_to))
    moved = cutouts.with_(f"redshift {z_from:g} -> {z_to:g}", images=dimmed, ivar=None)
    return moved, _light(cutouts, preset, matched, config, z_from, z_to)


def _light(
    cutouts: Cutouts,
    preset: Survey,
    matched: dict[str, int],
    config: ObserveConfig,
    z_from: float,
    z_to: float,
) -> dict[str, dict[int, float]]:
    """Input bands (by index, with weights) that hold the light each survey band shows at `z_to`."""
    known = {cutouts.bands[i]: preset.bands[band].wavelength.value for band, i in matched.items()}
    known |= {
        cutouts.bands[i]: preset.bands[b].wavelength.value
        for b, i in match_bands(cutouts.bands, preset, None, config.band_map).items()
    }
    known |= {name: nm for name, nm in config.wavelengths_nm.items() if name in cutouts.bands}
    found = {}
    for band, index in matched.items():
        choice = config.k_correction or "matched"
        try:
            weights = redshift_.sources(
                known, preset.bands[band].wavelength.value, z_from, z_to, choice, cutouts.bands[index]
            )
        except ConfigError as error:
            raise ConfigError(error.what, where=error.where, hint=error.hint) from None
        found[band] = {cutouts.bands.index(name): weight for name, weight in weights.items()}
    return found


def _mixed(cutouts: Cutouts, mixture: dict[int, float]) -> tuple[np.ndarray, np.ndarray | None]:
    """One plane per image from a weighted sum of bands, and which of its pixels are bad."""
    total = sum(np.float32(weight) * cutouts.images[:, index] for index, weight in mixture.items())
    bad = ~np.isfinite(total)
    if cutouts.mask is not None:
        for index in mixture:
            bad |= cutouts.mask[:, index] if cutouts.mask.ndim == 4 else cutouts.mask
    if not bad.any():
        return np.ascontiguousarray(total), None
    return np.where(bad, np.float32(0), total), bad


def targets(
    preset: Survey, band: str, config: ObserveConfig, factors: np.ndarray
) -> tuple[Psf, dict[float, Psf]]:
    """Return the band's nominal PSF, and the PSF for each of the `factors` (N,) of the seeing.

    Raises
    ------
    ConfigError
        When seeing is to vary and the PSF comes from a file, which has one.
    DataError
        When that file is no PSF.
    """
    scale = preset.pixel_scale.value
    if config.psf is not None:
        if config.seeing == "quartiles":
            raise ConfigError("a PSF file has one seeing", where="seeing", hint="seeing=nominal, or no psf")
        own: Psf = load_kernel(config.psf, config.psf_pixel_scale_arcsec, band, "psf_pixel_scale_arcsec")
        return own, dict.fromkeys(factors, own)
    model, values = preset.psf, preset.bands[band]
    widths = {factor: values.fwhm.value * factor for factor in set(factors.tolist())}
    return from_model(model, values, scale), {
        f: from_model(model, values, scale, w) for f, w in widths.items()
    }


def draw_seeing(ids: np.ndarray, preset: Survey, seed: int) -> np.ndarray:
    """Return each image's seeing over the nominal one, (N,), for all bands: log-normal through the quartiles.

    Raises
    ------
    ConfigError
        When the preset states no quartiles.
    """
    quartiles = next((b.fwhm_quartiles for b in preset.bands.values() if b.fwhm_quartiles), None)
    if quartiles is None:
        raise ConfigError(
            f"{preset.name} states no seeing quartiles",
            where="seeing",
            hint="seeing=nominal, or a preset of your own",
        )
    width = np.log(quartiles[1].value / quartiles[0].value) / 1.349
    drawn = [numpy_stream(seed, "make-mocks", preset.name, name, "seeing").normal() for name in ids]
    steps = np.round(np.clip(drawn, -3, 3) * width / _SEEING_STEP)
    return np.exp(steps * _SEEING_STEP)


def draw_shifts(ids: np.ndarray, preset: Survey, seed: int) -> np.ndarray:
    """Return (N, 2) shifts within half a pixel."""
    streams = (numpy_stream(seed, "make-mocks", preset.name, name, "phase") for name in ids)
    return np.stack([stream.uniform(-0.5, 0.5, size=2) for stream in streams])


def _own_psf(
    cutouts: Cutouts, i: int, mixture: dict[int, float], config: ObserveConfig, scale: float
) -> Psf | None:
    """What image `i` of the input shows a point as, in the band that weighs most."""
    band = max(mixture, key=mixture.__getitem__)
    own, fwhm = cutouts.psf, cutouts.psf_fwhm
    if own is not None:
        own = own[i, band] if own.ndim == 4 else own[band] if own.ndim == 3 else own
    if fwhm is not None:
        fwhm = np.asarray(fwhm, dtype=float)
        fwhm = float(fwhm[i, band] if fwhm.ndim == 2 else fwhm[i] if fwhm.ndim == 1 else fwhm)
    stated = {"file_scale": config.input_psf_pixel_scale_arcsec, "band": cutouts.bands[band]}
    try:
        return input_psf(config.input_psf, float(scale), own, cutouts.psf_pixel_scale, fwhm, **stated)
    except DataError as error:
        raise DataError(error.what, where=error.where or cutouts.ids[i], hint=error.hint) from None


def _moved_mask(
    bad: np.ndarray | None, scales: np.ndarray, scale_out: float, shape: tuple[int, int]
) -> np.ndarray:
    """Bad pixels (N, H, W) of the input on the output's grid; what lies outside its stamp is not bad."""
    out = np.zeros((len(scales), *shape), dtype=bool)
    if bad is None:
        return out
    for i in np.flatnonzero(bad.any(axis=(1, 2))):
        if bad[i].all():
            # Nothing is known of this image, and nothing is what its mock must show.
            out[i] = True
            continue
        inside = bad[i] & _stamp(bad[i])
        rows, columns = np.nonzero(inside)
        ratio = scale_out / scales[i]
        y = np.round((rows - (bad.shape[1] - 1) / 2) / ratio + (shape[0] - 1) / 2).astype(int)
        x = np.round((columns - (bad.shape[2] - 1) / 2) / ratio + (shape[1] - 1) / 2).astype(int)
        kept = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
        out[i, y[kept], x[kept]] = True
    return out


def _stamp(bad: np.ndarray) -> np.ndarray:
    """True within the smallest rectangle that holds every good pixel: a frame of padding is no fault."""
    good = ~bad
    rows, columns = good.any(axis=1), good.any(axis=0)
    span = [np.zeros(len(axis), dtype=bool) for axis in (rows, columns)]
    for marks, filled in zip((rows, columns), span):
        if marks.any():
            filled[np.flatnonzero(marks)[0] : np.flatnonzero(marks)[-1] + 1] = True
    return span[0][:, None] & span[1][None, :]


def _notes(cutouts: Cutouts, views: list[BandView], scales: np.ndarray, scale_out: float) -> tuple[str, ...]:
    """What a user should know: coarse input, an input PSF that was not removed, assumed noise."""
    notes = []
    if scales.max() > scale_out * 1.001:
        notes.append(
            f"the input's pixels ({scales.max():.3g} arcsec) are coarser than the survey's ({scale_out:g}): "
            "the mocks show no finer detail than the input"
        )
    if scales.max() * 1.5 > min(float(view.fwhm.min()) for view in views):
        notes.append("the input's pixels are not small against the PSF: its resolution limits the mocks")
    silent = [view.name for view in views if not view.noise.source_noise]
    if silent:
        notes.append(
            f"no photon count is known for {', '.join(silent)}: the galaxies themselves add no noise"
        )
    return tuple(notes)
