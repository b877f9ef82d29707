"""Point spread functions as optical transfer functions of spatial frequency [cycles / arcsec].

A profile is described by its Fourier transform, so that it is never sampled, truncated or renormalised.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import optimize, special

from galshift.errors import ConfigError

if TYPE_CHECKING:
    from galshift.surveys.schema import Band, PsfModel

_ARCSEC_PER_RADIAN = 180 * 3600 / np.pi
#: Half the structure function of Kolmogorov turbulence at one r0 (Fried 1966): (24/5 Gamma(6/5))^(5/6).
_KOLMOGOROV = (24 / 5 * special.gamma(6 / 5)) ** (5 / 6)


class Psf(Protocol):
    """Anything with a transfer function.

    ``pixel_arcsec`` is the pixel [arcsec] that the PSF was averaged over, 0 for the bare optical one.
    """

    pixel_arcsec: float

    def otf(self, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        """Return the transfer function on the grid of `ky` (rows) and `kx` (columns) [cycles / arcsec]."""
        ...

    def fwhm(self) -> float:
        """Full width at half maximum [arcsec] of the azimuthally averaged profile."""
        ...


def gaussian_otf(k: np.ndarray, fwhm: float) -> np.ndarray:
    """Transfer function of a Gaussian of `fwhm` [arcsec], `k` [cycles / arcsec]: exp(-2 pi^2 sigma^2 k^2)."""
    sigma = fwhm / np.sqrt(8 * np.log(2))
    return np.exp(-2 * (np.pi * sigma * k) ** 2)


def moffat_otf(k: np.ndarray, fwhm: float, beta: float) -> np.ndarray:
    """Transfer function of an untruncated Moffat profile (Moffat 1969; Trujillo et al. 2001, eq. 4).

    2 (t/2)^(beta-1) K_{beta-1}(t) / Gamma(beta-1) with t = 2 pi alpha k, alpha the scale radius.
    """
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    t = np.maximum(2 * np.pi * alpha * np.asarray(k, dtype=float), 1e-8)
    log = (
        np.log(2)
        + (beta - 1) * np.log(t / 2)
        + np.log(special.kve(beta - 1, t))
        - t
        - special.gammaln(beta - 1)
    )
    return np.exp(log)


@lru_cache
def _kolmogorov_fwhm() -> float:
    """FWHM of the Kolmogorov profile in units of lambda / r0, by a numerical Hankel transform (0.9759)."""
    k = np.linspace(0, 4, 20001)
    weight = k * np.exp(-_KOLMOGOROV * k ** (5 / 3))

    def profile(r: float) -> float:
        return np.trapezoid(weight * special.j0(2 * np.pi * k * r), k)

    centre = profile(0.0)
    return 2 * optimize.brentq(lambda r: profile(r) - centre / 2, 0.1, 1.0, xtol=1e-12)


def kolmogorov_otf(k: np.ndarray, fwhm: float) -> np.ndarray:
    """Long-exposure transfer function of turbulence, exp(-3.44 (k l/r0)^5/3) (Fried 1966, eq. 3.16)."""
    return np.exp(-_KOLMOGOROV * (np.asarray(k) * fwhm / _kolmogorov_fwhm()) ** (5 / 3))


def airy_otf(k: np.ndarray, wavelength_nm: float, diameter_m: float, obscuration: float = 0.0) -> np.ndarray:
    """Transfer function of a circular pupil with a central `obscuration` by diameter (O'Neill 1956).

    At frequencies `k` [cycles / arcsec] of any shape.  The autocorrelation of the annulus: overlaps of
    outer-outer, inner-inner and outer-inner discs.
    """
    cutoff = diameter_m / (wavelength_nm * 1e-9) / _ARCSEC_PER_RADIAN
    v = np.abs(np.asarray(k, dtype=float)) / cutoff * 2  # separation of the discs, outer radius = 1
    area = np.pi * (1 - obscuration**2)
    overlap = _disc_overlap(v, 1.0, 1.0)
    if obscuration > 0:
        inner = _disc_overlap(v, obscuration, obscuration)
        overlap = overlap + inner - 2 * _disc_overlap(v, 1.0, obscuration)
    return overlap / area


def _disc_overlap(d: np.ndarray, a: float, b: float) -> np.ndarray:
    """Area common to discs of radii `a` >= `b` whose centres are `d` apart."""
    inside = d <= a - b
    outside = d >= a + b
    x = np.where(inside | outside, a, d)  # any value that keeps the formula finite where it is not used
    cos_a = np.clip((x**2 + a**2 - b**2) / (2 * x * a), -1, 1)
    cos_b = np.clip((x**2 + b**2 - a**2) / (2 * x * b), -1, 1)
    kite = np.sqrt(np.maximum((-x + a + b) * (x + a - b) * (x - a + b) * (x + a + b), 0)) / 2
    lens = a**2 * np.arccos(cos_a) + b**2 * np.arccos(cos_b) - kite
    return np.where(outside, 0.0, np.where(inside, np.pi * b**2, lens))


@dataclass(frozen=True)
class RadialPsf:
    """A circular analytic profile: one of the kinds of :class:`galshift.surveys.schema.PsfModel`.

    Attributes
    ----------
    kind : str
    fwhm_arcsec : float
        Of the profile itself; for ``airy`` the diffraction pattern is broadened by a Gaussian to this width.
    """

    kind: str
    fwhm_arcsec: float
    beta: float | None = None
    wavelength_nm: float | None = None
    diameter_m: float | None = None
    obscuration: float = 0.0
    wing_fraction: float = 0.0
    wing_ratio: float = 2.0
    pixel_arcsec: float = 0.0

    def radial_otf(self, k: np.ndarray) -> np.ndarray:
        """Transfer function at frequencies `k` [cycles / arcsec] >= 0, in their shape."""
        if self.kind == "gaussian":
            return gaussian_otf(k, self.fwhm_arcsec)
        if self.kind == "moffat":
            return moffat_otf(k, self.fwhm_arcsec, self.beta)
        if self.kind == "kolmogorov":
            return kolmogorov_otf(k, self.fwhm_arcsec)
        if self.kind == "double-gaussian":
            core = _core_fwhm(self.fwhm_arcsec, self.wing_fraction, self.wing_ratio)
            wings = gaussian_otf(k, core * self.wing_ratio)
            return (1 - self.wing_fraction) * gaussian_otf(k, core) + self.wing_fraction * wings
        pupil = airy_otf(k, self.wavelength_nm, self.diameter_m, self.obscuration)
        blur = _airy_blur(self.fwhm_arcsec, self.wavelength_nm, self.diameter_m, self.obscuration)
        return pupil * gaussian_otf(k, blur)

    def otf(self, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        """Transfer function on a grid; see :class:`Psf`."""
        return self.radial_otf(np.hypot(ky[:, None], kx[None, :]))

    def fwhm(self) -> float:
        """FWHM [arcsec]; a diffraction pattern is never narrower than diffraction allows."""
        if self.kind != "airy":
            return self.fwhm_arcsec
        return max(self.fwhm_arcsec, _airy_fwhm(self.wavelength_nm, self.diameter_m, self.obscuration))


@lru_cache(maxsize=1024)
def _core_fwhm(fwhm: float, fraction: float, ratio: float) -> float:
    """FWHM of the narrow Gaussian of a pair whose sum has `fwhm`."""

    def half(r: float) -> float:
        """Profile at radius r (core FWHM 1) less half the centre."""
        core = (1 - fraction) * (2 ** (-((2 * r) ** 2)) - 0.5)
        return core + fraction / ratio**2 * (2 ** (-((2 * r / ratio) ** 2)) - 0.5)

    return fwhm / (2 * optimize.brentq(half, 0.4, 0.6 * ratio))


@lru_cache(maxsize=1024)
def _airy_fwhm(wavelength_nm: float, diameter_m: float, obscuration: float) -> float:
    """FWHM [arcsec] of the diffraction pattern alone."""
    cutoff = diameter_m / (wavelength_nm * 1e-9) / _ARCSEC_PER_RADIAN
    k = np.linspace(0, cutoff, 4001)
    return _fwhm_of_otf(k, airy_otf(k, wavelength_nm, diameter_m, obscuration), 1.2 / cutoff)


@lru_cache(maxsize=1024)
def _airy_blur(fwhm: float, wavelength_nm: float, diameter_m: float, obscuration: float) -> float:
    """FWHM [arcsec] of the Gaussian that broadens a diffraction pattern to `fwhm`; 0 where it is wider."""
    cutoff = diameter_m / (wavelength_nm * 1e-9) / _ARCSEC_PER_RADIAN
    k = np.linspace(0, cutoff, 4001)
    pupil = airy_otf(k, wavelength_nm, diameter_m, obscuration)

    def excess(blur: float) -> float:
        return _fwhm_of_otf(k, pupil * gaussian_otf(k, blur), 2 * fwhm + 2 / cutoff) - fwhm

    if excess(0.0) >= 0:
        return 0.0
    return optimize.brentq(excess, 0.0, 1.5 * fwhm, xtol=1e-7)


def _fwhm_of_otf(k: np.ndarray, otf: np.ndarray, largest: float) -> float:
    """FWHM of the circular profile with transfer function `otf` at `k`, at most `largest`."""

    def profile(r: float) -> float:
        return np.trapezoid(k * otf * special.j0(2 * np.pi * k * r), k)

    centre = profile(0.0)
    return 2 * optimize.brentq(lambda r: profile(r) - centre / 2, 0.0, largest, xtol=1e-9)


def from_model(model: PsfModel, band: Band, pixel_scale: float, fwhm: float | None = None) -> RadialPsf:
    """Return the PSF of a preset's band, of `fwhm` [arcsec] (as the preset defines it) where given."""
    shape = RadialPsf(
        model.kind,
        1.0,
        beta=model.beta,
        wavelength_nm=band.wavelength.value,
        diameter_m=model.diameter_m,
        obscuration=model.obscuration,
        wing_fraction=model.wing_fraction or 0.0,
        wing_ratio=model.wing_ratio or 2.0,
    )
    width = band.fwhm.value if fwhm is None else fwhm
    if model.fwhm_includes_pixel:
        # A box of side p adds a variance p^2/12; 2.355 / sqrt(12) = 0.68 of a pixel in FWHM.
        width = np.sqrt(max(width**2 - (0.68 * pixel_scale) ** 2, (0.5 * width) ** 2))
    if model.fwhm_kind == "effective":
        width *= _geometric_per_effective(model.kind, model.beta, model.wing_fraction, model.wing_ratio)
    return RadialPsf(**{**shape.__dict__, "fwhm_arcsec": float(width)})


@lru_cache
def _geometric_per_effective(
    kind: str, beta: float | None, fraction: float | None, ratio: float | None
) -> float:
    """FWHM of a profile over that of the Gaussian with the same noise-equivalent area."""
    if kind == "airy":
        raise ConfigError("an effective FWHM has no meaning for a diffraction pattern")
    k = np.linspace(0, 12, 60001)
    otf = RadialPsf(kind, 1.0, beta=beta, wing_fraction=fraction or 0.0, wing_ratio=ratio or 2.0).radial_otf(
        k
    )
    # Noise-equivalent area = 1 / integral |OTF|^2 d^2k (Parseval).
    area = 1 / (2 * np.pi * np.trapezoid(k * otf**2, k))
    gaussian_area = np.pi / (2 * np.log(2))  # of FWHM 1: 2.266
    return float(np.sqrt(gaussian_area / area))
