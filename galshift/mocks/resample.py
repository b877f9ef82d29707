"""PSF, pixel and pixel scale in one Fourier step, at any ratio of pixel scales, conserving flux.

An input pixel is already an average over its own square.  The spectrum of the input is multiplied by

    T(k) = OTF_target(k) / OTF_input(k) x sinc(k p_out) / sinc(k p_in)

and evaluated on the output's grid: by folding aliases and a short inverse FFT where a padded length makes the
ratio of pixel scales a ratio of integers, by a Fourier matrix otherwise.  Nothing is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from galshift.errors import DataError
from galshift.mocks.psf import Psf, RadialPsf
from galshift.mocks.wings import cut_otf

#: Modes whose transfer is below this everywhere are not computed.
_NEGLIGIBLE = 1e-7
#: Where the input's own transfer falls below this, it cannot be divided out.
_FLOOR = 5e-3
#: The largest error of the homogenised transfer function that is accepted.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Axis:
    """How one axis is padded and sampled.

    Attributes
    ----------
    n_in, n_out : int
        Pixels.
    ratio : float
        Output pixel over input pixel.
    n_pad : int
        Length of the forward transform.
    n_fold : int or None
        Length of the inverse transform, ``n_pad / ratio``; None where that is no integer.
    """

    n_in: int
    n_out: int
    ratio: float
    n_pad: int
    n_fold: int | None

    @property
    def start(self) -> float:
        """Position of output pixel 0 in input pixels; the centres of both images coincide."""
        return (self.n_in - 1) / 2 - (self.n_out - 1) / 2 * self.ratio


def plan_axis(n_in: int, n_out: int, ratio: float, margin: int) -> Axis:
    """Choose the padded length: at least the larger of both footprints plus `margin` input pixels."""
    least = max(n_in, int(np.ceil(n_out * ratio))) + margin
    best: tuple[float, int, int] | None = None
    for n_pad in range(least, int(least * 1.3) + 1):
        n_fold = round(n_pad / ratio)
        if abs(n_fold * ratio - n_pad) > 1e-9 * n_pad or n_fold < n_out:
            continue
        cost = n_pad * _roughness(n_pad) + n_fold * _roughness(n_fold)
        if best is None or cost < best[0]:
            best = (cost, n_pad, n_fold)
    if best is not None:
        return Axis(n_in, n_out, ratio, best[1], best[2])
    return Axis(n_in, n_out, ratio, _smooth(least), None)


@lru_cache(maxsize=4096)
def _roughness(n: int) -> float:
    """Cost factor of an FFT of length n: its largest prime factor counts once it exceeds 7."""
    largest, rest, p = 1, n, 2
    while rest > 1:
        while rest % p == 0:
            largest, rest = p, rest // p
        p += 1
    return 1.0 + max(largest - 7, 0) / 16


def _smooth(n: int) -> int:
    """The smallest length >= n without a prime factor above 7."""
    while _roughness(n) > 1:
        n += 1
    return n


@dataclass(frozen=True, eq=False)
class Transfer:
    """A plan for images of one shape: two axes and the transfer on their half spectrum.

    Attributes
    ----------
    y, x : Axis
    values : Tensor
        (n_pad_y, K) complex64, the first K columns of the half spectrum, or (B, n_pad_y, K).
    """

    y: Axis
    x: Axis
    values: Tensor

    def to(self, device: str) -> Transfer:
        """Return the plan on `device`."""
        return Transfer(self.y, self.x, self.values.to(device))


def frequencies(y: Axis, x: Axis, scale_in: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and (half-spectrum) column frequencies [cycles / arcsec] of a plan."""
    return np.fft.fftfreq(y.n_pad, scale_in), np.fft.rfftfreq(x.n_pad, scale_in)


def pixel_transfer(k: np.ndarray, scale_out: float, scale_in: float) -> np.ndarray:
    """sinc(k p_out) / sinc(k p_in), the change of pixel along one axis; a scale of 0 is no pixel."""
    return np.sinc(k * scale_out) / np.sinc(k * scale_in)


def homogenise(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return target / source (M, N) where the source's transfer allows it, tapered to 0 where it does not.

    Raises
    ------
    DataError
        When the target keeps detail that the input has lost: it is sharper than the input.
    """
    power = np.abs(source) ** 2
    ratio = target * np.conj(source) / np.maximum(power, _FLOOR**2)
    missing = np.abs(ratio * source - target).max()
    if missing > _TOLERANCE or np.abs(ratio).max() > 3:
        raise DataError(
            "the target's PSF is too sharp to be made from the input, whose own PSF has lost that detail "
            f"(the transfer would miss {missing:.2g} and amplify up to {np.abs(ratio).max():.2g} times)",
            hint="choose a survey with a wider PSF, or --input-psf none where the input has none",
        )
    return ratio


def make_transfer(
    y: Axis, x: Axis, scale_in: float, scale_out: float, target: Psf | None, source: Psf | None = None
) -> Transfer:
    """Return the transfer from images of `scale_in` to `scale_out` [arcsec / pixel].

    Parameters
    ----------
    y, x : Axis
    target : Psf or None
        What the output shows a point as; None changes the pixel alone.
    source : Psf or None
        What the input shows a point as; None where its pixels are bare averages of the sky.

    Raises
    ------
    DataError
        When `target` is sharper than `source`.
    """
    ky, kx = frequencies(y, x, scale_in)
    if isinstance(target, RadialPsf):
        otf = cut_otf(target, y.n_pad, x.n_pad, scale_in)
        values = otf * _pixels(target.pixel_arcsec, scale_out, ky, kx)
    else:
        values = _in_pixels(target, scale_out, ky, kx)
    if source is None:
        values = values / np.outer(np.sinc(ky * scale_in), np.sinc(kx * scale_in))
    else:
        values = homogenise(values, _in_pixels(source, scale_in, ky, kx))
    for axis, k, side in ((y, np.fft.fftfreq(y.n_pad), 0), (x, np.fft.rfftfreq(x.n_pad), 1)):
        phase = np.exp(2j * np.pi * k * axis.start)
        phase[np.isclose(np.abs(k), 0.5)] = 0  # this mode has no sign, so a phase on it would not be real
        values = values * (phase[:, None] if side == 0 else phase)
    significant = np.abs(values).max(axis=0) > _NEGLIGIBLE
    keep = int(np.flatnonzero(significant).max()) + 1
    return Transfer(y, x, torch.from_numpy(np.ascontiguousarray(values[:, :keep]).astype(np.complex64)))


def _in_pixels(psf: Psf | None, scale: float, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    """Transfer function of a PSF and pixels of `scale`; a PSF measured on pixels has one already."""
    if psf is None:
        return _pixels(0.0, scale, ky, kx)
    return psf.otf(ky, kx) * _pixels(psf.pixel_arcsec, scale, ky, kx)


def _pixels(own: float, scale: float, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    """Transfer function of pixels of `scale` in place of a PSF's `own`."""
    return np.outer(pixel_transfer(ky, scale, own), pixel_transfer(kx, scale, own))


def apply(images: Tensor, transfer: Transfer, shifts: Tensor | None = None) -> Tensor:
    """Return `images` on the output grid; the sum over pixels is kept.

    Parameters
    ----------
    images : Tensor
        (B, H, W) float32.
    transfer : Transfer
    shifts : Tensor, optional
        (B, 2) output pixels (rows, columns) by which each image's centre is moved off the output's centre.

    Returns
    -------
    Tensor
        (B, H', W') float32.  An image's result does not depend on the others in the batch.
    """
    y, x = transfer.y, transfer.x
    keep = transfer.values.shape[-1]
    spectrum = torch.fft.rfft(images, n=x.n_pad, dim=-1)[..., :keep]
    spectrum = torch.fft.fft(spectrum, n=y.n_pad, dim=-2) * transfer.values
    if shifts is not None:
        spectrum = spectrum * _phases(y.n_pad, shifts[:, 0] * y.ratio)[:, :, None]
        spectrum = spectrum * _phases(x.n_pad, shifts[:, 1] * x.ratio)[:, None, :keep]
    rows = _synthesise_rows(spectrum, y)
    return _synthesise_columns(rows, x)


def _phases(n: int, moved: Tensor) -> Tensor:
    """(B, n) phase ramps that move an image by `moved` (B,) input pixels."""
    cycles = torch.fft.fftfreq(n, device=moved.device, dtype=torch.float64)
    return torch.exp(-2j * torch.pi * moved.double()[:, None] * cycles).to(torch.complex64)


def _synthesise_rows(spectrum: Tensor, y: Axis) -> Tensor:
    """Inverse transform along the rows, (B, n_pad, K) -> (B, n_out, K)."""
    if y.n_fold is None:
        return torch.matmul(_matrix(y, spectrum.device.type), spectrum)
    if y.n_pad % y.n_fold == 0:
        # Slices are added one by one: a sum over an inner axis takes ten times as long.
        folded = spectrum[..., : y.n_fold, :]
        for first in range(y.n_fold, y.n_pad, y.n_fold):
            folded = folded + spectrum[..., first : first + y.n_fold, :]
    else:
        folded = spectrum.new_zeros((*spectrum.shape[:-2], y.n_fold, spectrum.shape[-1]))
        for source, target in _fold_pieces(y.n_pad, y.n_fold):
            folded[..., target, :] += spectrum[..., source, :]
    return torch.fft.ifft(folded, dim=-2)[..., : y.n_out, :]


def _synthesise_columns(rows: Tensor, x: Axis) -> Tensor:
    """Inverse transform of the half spectrum along the columns, (B, n, K) -> (B, n, n_out) real."""
    keep = rows.shape[-1]
    if x.n_fold is None:
        matrix = _matrix(x, rows.device.type)[:, :keep].mT
        doubled = torch.full((keep, 1), 2.0, device=rows.device)
        doubled[0] = 1.0
        return rows.real @ (matrix.real * doubled) - rows.imag @ (matrix.imag * doubled)
    half = x.n_fold // 2 + 1
    folded = rows[..., :half]
    if keep > half or (x.n_fold % 2 == 0 and keep == half):
        folded = folded.clone()
        _fold_half(rows, folded, x.n_fold)
    return torch.fft.irfft(folded, n=x.n_fold, dim=-1)[..., : x.n_out]


def _fold_half(rows: Tensor, folded: Tensor, n: int) -> None:
    """Add to the first modes of a half spectrum, `folded`, the others that alias to them at length n."""
    for k_first in range(0, rows.shape[-1], n):
        block = rows[..., k_first : k_first + n]
        if k_first:
            up = min(block.shape[-1], n // 2 + 1)
            folded[..., :up] += block[..., :up]
            # A whole multiple of n lands on mode 0 together with its negative twin.
            folded[..., 0] += block[..., 0].conj()
        down = block[..., (n + 1) // 2 :]
        if down.shape[-1]:
            # Mode k aliases to n - k of the conjugate: its negative twin lands in the half that is kept.
            first = n - (n + 1) // 2
            target = folded[..., first - down.shape[-1] + 1 : first + 1]
            target += down.flip(-1).conj()


def _fold_pieces(n_pad: int, n_fold: int) -> list[tuple[slice, slice]]:
    """Contiguous runs of signed modes, as they lie in the padded and in the folded spectrum."""
    pieces: list[tuple[slice, slice]] = []
    signed = np.fft.fftfreq(n_pad, 1 / n_pad).astype(int)
    targets = signed % n_fold
    begin = 0
    for i in range(1, n_pad + 1):
        if i == n_pad or targets[i] != targets[i - 1] + 1:
            pieces.append((slice(begin, i), slice(int(targets[begin]), int(targets[i - 1]) + 1)))
            begin = i
    return pieces


@lru_cache(maxsize=32)
def _matrix(axis: Axis, device: str) -> Tensor:
    """(n_out, n_pad) complex64: the inverse transform at the output pixels, from the first one on."""
    cycles = np.fft.fftfreq(axis.n_pad)
    position = np.arange(axis.n_out) * axis.ratio
    matrix = np.exp(2j * np.pi * np.outer(position, cycles)) * (axis.ratio / axis.n_pad)
    return torch.from_numpy(matrix.astype(np.complex64)).to(device)
