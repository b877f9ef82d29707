"""Far wings of a PSF: what a transform of finite length would wrap round to the other side, taken away.

A discrete transform repeats the sky with the padded length L, so that wings beyond L / 2 come back in.  A
diffraction pattern, whose flux beyond r falls only as 1 / r, would return a percent of it.  The transfer
function used is therefore that of the PSF cut at +- L / 2, outside of which lies no pixel of the output that
the middle of the input could light up.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from galshift.mocks.psf import RadialPsf

#: The wings are followed out to this many lengths L.
_LENGTHS = 16


@lru_cache(maxsize=16)
def cut_otf(psf: RadialPsf, ny: int, nx: int, scale: float) -> np.ndarray:
    """Return the transfer function of `psf` cut to the period of a discrete transform.

    Parameters
    ----------
    psf : RadialPsf
    ny, nx : int
        Its lengths [pixels].
    scale : float
        arcsec per pixel.

    Returns
    -------
    ndarray
        (ny, nx // 2 + 1), read-only: the half spectrum.
    """
    ky, kx = np.fft.fftfreq(ny, scale), np.fft.rfftfreq(nx, scale)
    whole = psf.otf(ky, kx)
    steps = ky[1] - ky[0], kx[1] - kx[0]
    coarse = [_coarse_length(psf, 1 / step) for step in steps]
    kept, beyond = _split(psf, coarse, steps)
    # Wings are smooth: their transform is confined to low frequencies, those of the coarse grid.
    rows = np.round(ky / steps[0]).astype(int)
    columns = np.round(kx / steps[1]).astype(int)
    low_y, low_x = np.abs(rows) < coarse[0] // 2, columns < coarse[1] // 2
    wings = np.zeros_like(whole)
    wings[np.ix_(low_y, low_x)] = (beyond - kept)[np.ix_(rows[low_y] % coarse[0], columns[low_x])]
    whole -= wings
    whole.flags.writeable = False
    return whole


def _coarse_length(psf: RadialPsf, length: float) -> int:
    """Even number of samples over L that resolves the wings, about one a FWHM and 32 to 128 in all."""
    return 2 * int(np.clip(np.ceil(length / psf.fwhm() / 2), 16, 64))


def _split(psf: RadialPsf, coarse: list[int], steps: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Transforms of the smoothed PSF cut at +- L / 2, and of all of it, on the coarse half spectrum."""
    many = [_LENGTHS * n for n in coarse]
    ky = np.fft.fftfreq(many[0], 1 / many[0]) * steps[0] / _LENGTHS
    kx = np.arange(many[1] // 2 + 1) * steps[1] / _LENGTHS
    smooth = _smoothing(ky, many[0])[:, None] * _smoothing(kx, many[1])[None, :]
    spectrum = _interpolated(psf, np.hypot(ky[:, None], kx[None, :])) * smooth
    image = np.fft.irfft2(spectrum, s=many)
    rows, columns = (np.r_[0 : n // 2, -n // 2 : 0] for n in coarse)
    inner = image[np.ix_(rows, columns)]
    # A sample on the very edge belongs half to either side.
    inner[coarse[0] // 2] /= 2
    inner[:, coarse[1] // 2] /= 2
    return np.fft.rfft2(inner).real, spectrum[::_LENGTHS, ::_LENGTHS]


def _smoothing(k: np.ndarray, n: int) -> np.ndarray:
    """Gaussian that falls to 3e-4 at the Nyquist frequency of `n` samples of the same grid."""
    step = k[1] - k[0]
    return np.exp(-8 * (k / (n / 2 * step)) ** 2)


def _interpolated(psf: RadialPsf, k: np.ndarray) -> np.ndarray:
    """The radial transfer function at `k`, by a spline in sqrt(k): it may have a cusp at 0."""
    from scipy.interpolate import CubicSpline

    root = np.linspace(0, np.sqrt(k.max()), 4096)
    return CubicSpline(root, psf.radial_otf(root**2))(np.sqrt(k))
