"""Measure a survey's own mocks and set the result beside what the survey publishes (``--check``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.psf_array import ArrayPsf
from galshift.mocks.bands import match_bands
from galshift.mocks.depth import expected_depth
from galshift.mocks.observe import observe_in_full
from galshift.mocks.optics import kernel
from galshift.mocks.psf import Psf, from_model
from galshift.mocks.units import mag_from_njy
from galshift.surveys.schema import Depth, Survey

#: How far a measured depth may be from the published one [mag].
TOLERANCE_MAG = 0.2
_SIDE = 512
_FIELDS = 3
_SPACING = 32
_STAR_SNR = 20.0


@dataclass(frozen=True)
class BandCheck:
    """What was measured in one band.

    Attributes
    ----------
    band : str
    published : Depth or None
    measured_depth, expected_depth : float or None
        AB mag, as `published` defines it: from the mocks, and from the preset's numbers by formula.
    point_snr, expected_snr : float
        Of stars twenty times over the sky noise of a matched filter, measured and by formula.
    flux_ratio : float
        Their measured over their true flux.
    fwhm_arcsec, expected_fwhm_arcsec : float
        Of a noiseless star in the survey's pixels: on its mock, and of the preset's PSF and pixel.
    sky_sigma_njy : float
        Scatter of a blank pixel.
    """

    band: str
    published: Depth | None
    measured_depth: float | None
    expected_depth: float | None
    point_snr: float
    expected_snr: float
    flux_ratio: float
    fwhm_arcsec: float
    expected_fwhm_arcsec: float
    sky_sigma_njy: float

    @property
    def difference(self) -> float | None:
        """Measured less published depth [mag]; None without a published one."""
        return None if self.published is None else self.measured_depth - self.published.value

    @property
    def passed(self) -> bool:
        """Depth within 0.2 mag of the published one, S/N within 3 %, flux within 1 %."""
        deep = self.difference is None or abs(self.difference) <= TOLERANCE_MAG
        return deep and abs(self.point_snr / self.expected_snr - 1) < 0.03 and abs(self.flux_ratio - 1) < 0.01


#: Headings of :func:`cells`.
COLUMNS = (
    "band",
    "depth measured",
    "published",
    "difference",
    "of what",
    "S/N of a 20-sigma star",
    "flux ratio",
    "FWHM [arcsec]",
    "of the preset",
    "sky sigma [nJy]",
    "",
)


def cells(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of :func:`as_json` as text under `COLUMNS`."""
    return [_cells(row) for row in rows]


def _cells(row: dict[str, Any]) -> list[str]:
    depth = row["published"]
    published = ["", "", "", ""]
    if depth is not None:
        published = [
            f"{row['measured_depth']:.2f}",
            f"{depth['value']:.2f}",
            f"{row['difference']:+.2f}",
            f"{depth['snr']:g} sigma, {_kind(depth)}{'' if depth['verified'] else ' (not verified)'}",
        ]
    measured = [
        f"{row['point_snr']:.2f}",
        f"{row['flux_ratio']:.4f}",
        f"{row['fwhm_arcsec']:.3f}",
        f"{row['expected_fwhm_arcsec']:.3f}",
        f"{row['sky_sigma_njy']:.4g}",
    ]
    return [row["band"], *published, *measured, "ok" if row["passed"] else "OUT"]


def _kind(depth: dict[str, Any]) -> str:
    if depth["kind"] == "aperture":
        return f"{depth['aperture_diameter_arcsec']:g} arcsec aperture"
    if depth["kind"] == "galaxy":
        return f"galaxy of {depth['half_light_radius_arcsec']:g} arcsec"
    return "point source"


def check_survey(survey: Survey, bands: tuple[str, ...] | None = None, *, seed: int = 42) -> list[BandCheck]:
    """Make blank fields and stars as `survey` sees them, and measure them with photutils."""
    wanted = tuple(match_bands(tuple(survey.bands), survey, bands))
    return [_check_band(survey, band, seed) for band in wanted]


def as_json(checks: list[BandCheck]) -> list[dict[str, Any]]:
    """Return the checks as plain data."""
    rows = []
    for check in checks:
        row = {name: getattr(check, name) for name in check.__dataclass_fields__ if name != "published"}
        depth = check.published
        row["published"] = None if depth is None else depth.model_dump(mode="json")
        rows.append({**row, "difference": check.difference, "passed": check.passed})
    return rows


def _check_band(survey: Survey, name: str, seed: int) -> BandCheck:
    band, scale = survey.bands[name], survey.pixel_scale.value
    psf = from_model(survey.psf, band, scale)
    blank, sigma = _observed(survey, name, np.zeros((_FIELDS, _SIDE, _SIDE), np.float32), seed, "blank")
    profile = kernel(psf, scale, _SPACING - 1)
    star = _STAR_SNR * sigma / float(np.sqrt((profile.astype(np.float64) ** 2).sum()))
    finer = 1 if psf.fwhm() > 3 * scale else 5  # points on coarse pixels would lose what aliases
    stars, _ = _observed(survey, name, _star_field(star, finer), seed, "stars", finer)
    fluxes, scatter = _matched_filter(stars, blank, profile)
    depth = band.depth
    image = _noiseless(survey, name, finer)
    return BandCheck(
        band=name,
        published=depth,
        measured_depth=None if depth is None else measure_depth(blank, depth, psf, survey),
        expected_depth=None if depth is None else expected_depth(depth, psf, survey, sigma),
        point_snr=float(fluxes.mean() / scatter),
        expected_snr=_STAR_SNR,
        flux_ratio=float(fluxes.mean() / star),
        fwhm_arcsec=_fwhm(image, scale),
        expected_fwhm_arcsec=_fwhm(kernel(psf, scale, 65), scale),
        sky_sigma_njy=float(blank.std()),
    )


def _observed(
    survey: Survey, band: str, images: np.ndarray, seed: int, what: str, finer: int = 1
) -> tuple[np.ndarray, float]:
    """Observe fields of pixels `finer` than the survey's; return them (N, H, W) and the sky noise."""
    made = observe_in_full(_field(survey, band, images, what, finer), survey, seed=seed)
    return made.cutouts.images[:, 0], float(made.records[0]["bands"][band]["sky_sigma_njy"])


def _noiseless(survey: Survey, band: str, finer: int) -> np.ndarray:
    """A star in the middle of 65 x 65 of the survey's pixels."""
    single = np.zeros((1, 65 * finer, 65 * finer), np.float32)
    single[0, 65 * finer // 2, 65 * finer // 2] = 1.0
    return observe_in_full(_field(survey, band, single, "star", finer), survey).truth[0, 0]


def _field(survey: Survey, band: str, images: np.ndarray, what: str, finer: int) -> Cutouts:
    """Fields whose pixels are points: their PSF is one pixel, so that the pixel is no blur of theirs."""
    ids = np.array([f"check-{what}-{i}" for i in range(len(images))])
    scale = survey.pixel_scale.value / finer
    return Cutouts(
        images[:, None],
        unit="nJy",
        pixel_scale=scale,
        bands=(band,),
        ids=ids,
        psf=np.ones((1, 1, 1)),
        psf_pixel_scale=scale,
    )


def _star_field(flux: float, finer: int) -> np.ndarray:
    """Stars of `flux` on a grid, in the middle of every 32nd of the survey's pixels."""
    images = np.zeros((1 if finer > 1 else _FIELDS, _SIDE * finer, _SIDE * finer), dtype=np.float32)
    first = _SPACING // 2 * finer + finer // 2
    images[:, first :: _SPACING * finer, first :: _SPACING * finer] = flux
    return images


def _matched_filter(stars: np.ndarray, blank: np.ndarray, psf: np.ndarray) -> tuple[np.ndarray, float]:
    """Fluxes of the stars of `_star_field`, and the scatter of the same filter on blank sky."""
    half = psf.shape[0] // 2
    first = _SPACING // 2 - half  # a valid convolution starts at the kernel's half width
    fluxes = _filtered(stars, psf)[:, first::_SPACING, first::_SPACING]
    return fluxes.ravel(), float(_filtered(blank, psf).std())


def _filtered(fields: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Best linear estimate of the flux of a source of `profile` about each pixel where it fits in."""
    from scipy.signal import fftconvolve

    weights = profile.astype(np.float64) / (profile.astype(np.float64) ** 2).sum()
    flipped = weights[::-1, ::-1]
    return np.stack([fftconvolve(field.astype(np.float64), flipped, mode="valid") for field in fields])


def measure_depth(blank: np.ndarray, depth: Depth, psf: Psf, survey: Survey) -> float:
    """Return the AB magnitude at which `depth`'s measurement on blank fields (N, H, W) [nJy] has its S/N."""
    scale = survey.pixel_scale.value
    if depth.kind == "aperture":
        scatter = _aperture_scatter(blank, depth.aperture_diameter_arcsec / 2 / scale)
        return float(mag_from_njy(depth.snr * scatter))
    if depth.kind == "galaxy":
        profiles = [_disc(psf, scale, depth.half_light_radius_arcsec)]
    else:
        # A star's place within its pixel matters where pixels are coarse.
        places = [(y, x) for y in (-2, 0, 2) for x in (-2, 0, 2)] if psf.fwhm() < 3 * scale else [(0, 0)]
        profiles = [kernel(psf, scale, _SPACING - 1, place) for place in places]
    information = np.mean([_filtered(blank, profile).std() ** -2 for profile in profiles])
    return float(mag_from_njy(depth.snr / np.sqrt(information)))


def _aperture_scatter(blank: np.ndarray, radius: float) -> float:
    """Scatter of the flux in circular apertures laid side by side, centred on the corners of pixels."""
    from photutils.aperture import CircularAperture, aperture_photometry

    step = int(np.ceil(2 * radius)) + 1
    line = np.arange(np.ceil(radius) + 0.5, blank.shape[1] - radius - 1, step)
    apertures = CircularAperture([(x, y) for y in line for x in line], radius)
    sums = [
        aperture_photometry(f.astype(np.float64), apertures, method="exact")["aperture_sum"] for f in blank
    ]
    return float(np.std(np.concatenate([np.asarray(values) for values in sums])))


def _disc(psf: Psf, scale: float, half_light_radius: float) -> np.ndarray:
    """An exponential disc through the PSF and pixels, (P, P), of sum about 1."""
    from galshift.mocks.depth import disc_otf
    from galshift.mocks.resample import pixel_transfer

    n = 128
    k = np.fft.fftfreq(n, scale)
    fine = [(k + alias / scale) for alias in (-1, 0, 1)]
    spectrum = np.zeros((n, n), dtype=complex)
    for ky in fine:
        for kx in fine:
            pixel = np.outer(
                pixel_transfer(ky, scale, psf.pixel_arcsec), pixel_transfer(kx, scale, psf.pixel_arcsec)
            )
            spectrum += (
                psf.otf(ky, kx) * pixel * disc_otf(np.hypot(ky[:, None], kx[None, :]), half_light_radius)
            )
    image = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    half = _SPACING - 1
    return image[n // 2 - half : n // 2 + half + 1, n // 2 - half : n // 2 + half + 1]


def _fwhm(image: np.ndarray, scale: float) -> float:
    """FWHM [arcsec] of a centred star image."""
    return ArrayPsf(image, scale, scale).fwhm()
