"""Correlated noise of resampled coadds: white noise shaped by a power spectrum.

Resampling onto a common grid smooths noise: the variance of a pixel falls while that of a large box stays.
The spectrum is therefore normalised to 1 at zero frequency, so that depths in apertures do not change.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from galshift.data.fits_file import open_fits
from galshift.errors import DataError


def power_spectrum(autocorrelation: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the power spectrum on the half-plane grid of `shape`, 1 at zero frequency, never negative.

    Parameters
    ----------
    autocorrelation : ndarray
        (2m+1, 2m+1) by pixel lag, centre 1, symmetric.  Larger lags than `shape` holds are dropped.

    Raises
    ------
    DataError
        When it is not an autocorrelation: its spectrum is negative beyond rounding.
    """
    half = autocorrelation.shape[0] // 2
    field = np.zeros(shape)
    for dy in range(-half, half + 1):
        for dx in range(-half, half + 1):
            if abs(dy) <= shape[0] // 2 and abs(dx) <= shape[1] // 2:
                field[dy % shape[0], dx % shape[1]] += autocorrelation[dy + half, dx + half]
    power = np.fft.rfft2(field).real
    if power[0, 0] <= 0 or power.min() < -0.05 * power.max():
        raise DataError("the noise autocorrelation has a negative power spectrum, so no noise can have it")
    return np.maximum(power, 0) / power[0, 0]


def correlate(white: Tensor, autocorrelation: np.ndarray) -> Tensor:
    """Return white noise (..., H, W) with the given autocorrelation and unchanged large-scale variance."""
    shape = (int(white.shape[-2]), int(white.shape[-1]))
    root = np.sqrt(power_spectrum(autocorrelation, shape)).astype(np.float32)
    spectrum = torch.fft.rfft2(white) * torch.from_numpy(root).to(white.device)
    return torch.fft.irfft2(spectrum, s=shape)


def pixel_variance_ratio(autocorrelation: np.ndarray) -> float:
    """Variance of a pixel after :func:`correlate` over that before it: 1 / sum of the autocorrelation."""
    return float(1 / autocorrelation.sum())


def resampling_autocorrelation(kernel: str = "bilinear") -> np.ndarray:
    """Return the (3, 3) autocorrelation of noise resampled once by half a pixel on average, 1 at its centre.

    ``bilinear``: the mean over all sub-pixel shifts, 2/3 and 1/6 along each axis.

    Raises
    ------
    DataError
        For any other kernel.
    """
    if kernel != "bilinear":
        raise DataError(f"resampling kernel '{kernel}' is not known", hint="bilinear")
    line = np.array([1 / 6, 2 / 3, 1 / 6]) / (2 / 3)
    return np.outer(line, line)


@lru_cache(maxsize=8)
def load_autocorrelation(path: str) -> np.ndarray:
    """Return an (n, n) autocorrelation of odd n from a FITS image or ``.npy``, normalised to 1 at its centre.

    Raises
    ------
    DataError
        When there is no such file, or it is no square of odd size with its maximum at the centre.
    """
    if path == "bilinear":
        return resampling_autocorrelation()
    file = Path(path)
    if not file.is_file():
        raise DataError(
            "there is no such noise autocorrelation", where=path, hint="a FITS image, .npy, or bilinear"
        )
    if file.suffix == ".npy":
        values = _from_npy(file)
    else:
        values = _from_fits(file)
    centre = values[values.shape[0] // 2, values.shape[1] // 2] if values.ndim == 2 else 0
    if (
        values.ndim != 2
        or values.shape[0] != values.shape[1]
        or values.shape[0] % 2 == 0
        or centre != values.max()
    ):
        raise DataError(
            "a noise autocorrelation is a square of odd size with its maximum at the centre",
            where=path,
        )
    values = values / centre
    return (values + values[::-1, ::-1]) / 2


def _from_npy(file: Path) -> np.ndarray:
    try:
        # Mapped, so that a header cannot claim more than the file has.
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False), dtype=float)
    except Exception as error:  # a header is parsed as Python's, and can be wrong in as many ways
        raise DataError("this cannot be read as a .npy array of numbers", where=file) from error


def _from_fits(file: Path) -> np.ndarray:
    with open_fits(file) as hdus:
        found = next((hdu.data for hdu in hdus if hdu.is_image and hdu.data is not None), None)
        if found is None:
            raise DataError("it holds no image", where=file)
        return np.asarray(found, dtype=float)
