"""Point spread functions given as images: measured on stars, or of an optical model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from galshift.errors import DataError


@dataclass(frozen=True, eq=False)
class ArrayPsf:
    """A PSF given as an image, normalised and centred by its transfer function.

    Attributes
    ----------
    image : ndarray
        (P, Q), positive sum; bad pixels must have been set to 0.
    scale_arcsec : float
        Its pixel [arcsec].
    pixel_arcsec : float
        The pixel that it is averaged over: its own for a PSF measured on images, 0 for an optical model.
    said : tuple of str
        What a user should know of it.
    """

    image: np.ndarray
    scale_arcsec: float
    pixel_arcsec: float
    said: tuple[str, ...] = ()
    _centre: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        image = np.nan_to_num(np.asarray(self.image, dtype=float), posinf=0.0, neginf=0.0)
        if image.ndim != 2 or not image.sum() > 0:
            raise DataError(f"a PSF must be a 2-D image with a positive sum, not {image.shape}")
        object.__setattr__(self, "image", image / image.sum())
        object.__setattr__(self, "_centre", centroid(self.image))

    def otf(self, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
        """Transfer function (M, N) at `ky` (M,), `kx` (N,) [cycles / arcsec]; 0 beyond its Nyquist."""
        phases = []
        for k, n, centre in zip((ky, kx), self.image.shape, self._centre):
            x = (np.arange(n) - centre) * self.scale_arcsec
            inside = np.abs(k) <= 0.5 / self.scale_arcsec
            phases.append(np.exp(-2j * np.pi * np.outer(k, x)) * inside[:, None])
        return phases[0] @ self.image @ phases[1].T

    def fwhm(self) -> float:
        """FWHM [arcsec], from the area above half of the maximum of the finely interpolated image."""
        return array_fwhm(self.image, self.scale_arcsec)


def centroid(image: np.ndarray) -> tuple[float, float]:
    """Flux-weighted centre [pixel] of an image (P, Q), in a window about the peak: wings cannot pull it."""
    peak = np.unravel_index(np.argmax(image), image.shape)
    centre = np.array(peak, dtype=float)
    rows, columns = np.indices(image.shape)
    width = max(np.sqrt(np.count_nonzero(image > image.max() / 2) / np.pi), 1.0)
    for _ in range(20):
        weight = image * np.exp(
            -((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (2 * (2 * width) ** 2)
        )
        new = np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()
        moved, centre = np.abs(new - centre).max(), new
        if moved < 1e-6:
            break
    return float(centre[0]), float(centre[1])


def array_fwhm(image: np.ndarray, scale: float) -> float:
    """FWHM of (P, Q) pixels of `scale`, in its unit, from the area above half maximum, interpolated by 4."""
    n_rows, n_columns = image.shape
    spectrum = np.fft.fftshift(np.fft.fft2(image))
    # Frequency 0 goes from place n // 2 to 4n // 2: one off would tilt the image.
    grow = [(2 * n - n // 2, n + n // 2) for n in (n_rows, n_columns)]
    fine = np.fft.ifft2(np.fft.ifftshift(np.pad(spectrum, grow))).real
    return 2 * np.sqrt(np.count_nonzero(fine > fine.max() / 2) / np.pi) * scale / 4
