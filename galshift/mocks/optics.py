"""What a survey would see without noise: choose the PSFs, and apply PSF and pixels image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from galshift.data.psf_array import ArrayPsf
from galshift.data.psf_check import check
from galshift.data.psf_files import load_kernel
from galshift.errors import DataError
from galshift.mocks.psf import Psf, RadialPsf
from galshift.mocks.resample import Transfer, apply, make_transfer, pixel_transfer, plan_axis

#: Images in one transform: small batches stay in the processor's cache.
BATCH = 4


@dataclass(frozen=True)
class View:
    """How one image is seen in one band.

    Attributes
    ----------
    scale_in, scale_out : float
        arcsec per pixel.
    target, source : Psf or None
    """

    scale_in: float
    scale_out: float
    target: Psf | None
    source: Psf | None = None


def output_side(n_in: int, scale_in: float, scale_out: float) -> int:
    """Pixels of the output that the input's footprint covers in full, at least one."""
    return max(int(np.floor(n_in * scale_in / scale_out + 1e-6)), 1)


def render(
    images: np.ndarray | torch.Tensor,
    views: Sequence[View],
    shape: tuple[int, int],
    *,
    shifts: np.ndarray | None = None,
    device: str = "cpu",
) -> torch.Tensor:
    """Return one band of noiseless mocks.

    Parameters
    ----------
    images : ndarray or Tensor
        (N, H, W) float32, flux per pixel.
    views : sequence of View
        One per image.
    shape : tuple of int
        (H', W') of the output.
    shifts : ndarray, optional
        (N, 2) output pixels by which each image is moved.
    device : str

    Returns
    -------
    Tensor
        (N, H', W') float32 on `device`, flux per output pixel.
    """
    out = torch.empty((len(images), *shape), dtype=torch.float32, device=device)
    alike: dict[View, list[int]] = {}
    for i, view in enumerate(views):
        alike.setdefault(view, []).append(i)
    for view, members in alike.items():
        # A PSF of the image's own serves once; keeping its plan would only fill memory.
        plan = _plan if isinstance(view.source, ArrayPsf) else _kept_plan
        transfer = plan(tuple(images.shape[1:]), shape, view, device)
        for begin in range(0, len(members), BATCH):
            rows = _run(members[begin : begin + BATCH])
            batch = torch.as_tensor(images[rows]).to(device)
            moved = None if shifts is None else torch.from_numpy(shifts[rows]).to(device)
            out[rows] = apply(batch, transfer, moved)
    return out


def _run(members: list[int]) -> slice | list[int]:
    """A slice where `members` follow each other, which needs no copy."""
    following = members[-1] - members[0] + 1 == len(members)
    return slice(members[0], members[-1] + 1) if following else members


def _plan(shape_in: tuple[int, int], shape_out: tuple[int, int], view: View, device: str) -> Transfer:
    """How images of one shape, seen alike, become images of another."""
    ratio = view.scale_out / view.scale_in
    margin = int(np.ceil(reach(view.target) / view.scale_in))
    y, x = (plan_axis(a, b, ratio, margin) for a, b in zip(shape_in, shape_out))
    return make_transfer(y, x, view.scale_in, view.scale_out, view.target, view.source).to(device)


_kept_plan = lru_cache(maxsize=256)(_plan)


def reach(psf: Psf | None) -> float:
    """Angle [arcsec] over which a PSF spreads light that matters at 1e-5 of its peak."""
    if psf is None:
        return 0.0
    if isinstance(psf, ArrayPsf):
        return max(psf.image.shape) * psf.scale_arcsec / 2
    return 8 * psf.fwhm()


def input_psf(
    choice: float | str,
    scale_in: float,
    own: np.ndarray | None,
    own_scale: float | None,
    own_fwhm: float | None,
    *,
    file_scale: float | None = None,
    band: str = "",
) -> Psf | None:
    """Return what the input shows a point as.

    Parameters
    ----------
    choice : {"own", "none"}, float or str
        See ``ObserveConfig.input_psf``.
    scale_in : float
        Pixel of the input [arcsec]; a FWHM is taken as measured on it.
    own : ndarray or None
        (P, P) kernel that the input carries, of `own_scale` [arcsec / pixel].
    own_fwhm : float or None
        FWHM [arcsec] that it carries.
    file_scale : float or None
        arcsec per pixel of the kernel in the file that `choice` names, where the user states it.
    band : str
        The input's, for a file with a PSF for each.

    Raises
    ------
    DataError
        When a FWHM is negative, the kernel cannot be a PSF, or the file that `choice` names is none.
    """
    if choice == "none":
        return None
    if choice == "own":
        if own is not None:
            scale = own_scale or scale_in
            check(own)
            return ArrayPsf(own, scale, scale)
        choice = own_fwhm or 0.0
    if isinstance(choice, str):
        try:
            choice = float(choice)
        except ValueError:
            return load_kernel(choice, file_scale, band, "input_psf_pixel_scale_arcsec")
    if choice < 0:
        raise DataError(f"an input PSF of {choice} arcsec is not possible", where="--input-psf")
    return RadialPsf("gaussian", float(choice), pixel_arcsec=scale_in) if choice > 0 else None


def kernel(psf: Psf, scale: float, side: int | None = None, eighths: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return the PSF in pixels of `scale` [arcsec], (P, P) float32 of odd P and of sum about 1.

    Its centre is that of the middle pixel, or `eighths` of a pixel (rows, columns) off it.
    """
    if side is None:
        side = 2 * int(np.clip(np.ceil(reach(psf) / 2 / scale), 7, 31)) + 1
    make = _kernel if isinstance(psf, ArrayPsf) else _kept_kernel
    return make(psf, scale, side, eighths).copy()


def _kernel(psf: Psf, scale: float, side: int, eighths: tuple[int, int]) -> np.ndarray:
    """The transfer function of PSF and pixel, transformed back at the pixels' centres."""
    step = 1 / (4 * side * scale)
    count = int(np.ceil(min(_band_limit(psf, 4 / scale), 4 / scale) / step))
    k = np.arange(-count, count + 1) * step
    pixel = pixel_transfer(k, scale, psf.pixel_arcsec)
    spectrum = psf.otf(k, k) * np.outer(pixel, pixel)
    y, x = (np.exp(2j * np.pi * np.outer(_positions(side, scale, shift), k)) for shift in eighths)
    return ((y @ spectrum @ x.T).real * (step * scale) ** 2).astype(np.float32)


_kept_kernel = lru_cache(maxsize=256)(_kernel)


def _positions(side: int, scale: float, eighths: int) -> np.ndarray:
    """Centres [arcsec] of a row of pixels from a star that stands `eighths` of a pixel off the middle."""
    return (np.arange(side) - side // 2 - eighths / 8) * scale


def _band_limit(psf: Psf, largest: float) -> float:
    """Frequency [cycles / arcsec] beyond which the transfer function is below 1e-8, at most `largest`."""
    if isinstance(psf, ArrayPsf):
        return 0.5 / psf.scale_arcsec
    k = np.linspace(0, largest, 2049)
    return float(k[np.flatnonzero(np.abs(psf.radial_otf(k)) > 1e-8).max()]) + k[1]
