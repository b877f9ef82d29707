"""A PSF that a user states for a data set: a file of it, or its FWHM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.psf_array import array_fwhm
from galshift.data.psf_files import kernel_notes, load_kernel
from galshift.data.readers._base import Opened
from galshift.errors import DataError

if TYPE_CHECKING:
    from galshift.data.cutouts import Cutouts, Dataset
    from galshift.data.options import ReadOptions
    from galshift.data.psf_array import ArrayPsf

_SCALE = "psf_pixel_scale_arcsec"
_IMAGES = 3


def with_psf(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return `dataset` with the PSF that `options` state, in place of its own; itself where they state none.

    Raises
    ------
    DataError
        When the PSF is neither a number nor a file, has no pixel scale, none for a band, or cannot be a PSF.
    """
    if options.psf is None:
        return dataset
    fwhm = fwhm_of(options.psf)
    if fwhm is not None:
        return DeclaredPsf(dataset, fwhm)
    if not Path(options.psf).is_file():
        raise DataError(
            "there is no such PSF file",
            where=options.psf,
            hint="a PSF is a FITS or .npy file, or its FWHM in arcsec, such as 1.2",
        )
    hint = f"{_SCALE}: 0.03 in a data card, or --psf-pixel-scale 0.03"
    kernels = {
        band: load_kernel(options.psf, getattr(options, _SCALE), band, _SCALE, hint)
        for band in dataset.info.bands
    }
    scales = sorted({round(kernel.scale_arcsec, 9) for kernel in kernels.values()})
    if scales[-1] > 1.001 * scales[0]:
        raise DataError(
            f"the PSFs of the bands differ in pixel scale: {', '.join(f'{s:.4g}' for s in scales)} arcsec",
            where=options.psf,
            hint="write them with pixels of one size",
        )
    return DeclaredPsf(dataset, kernels=kernels, notes=kernel_notes(options.psf, kernels, {}))


def fwhm_of(word: str) -> float | None:
    """Return the FWHM [arcsec] that `word` is, None where it is no number and names a file."""
    try:
        return float(word)
    except ValueError:
        return None


class DeclaredPsf(Opened):
    """`dataset` with another PSF: of `fwhm` [arcsec], or the images `kernels` by band, of one pixel scale."""

    def __init__(
        self,
        dataset: Dataset,
        fwhm: float | None = None,
        *,
        kernels: dict[str, ArrayPsf] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        info, self._psf, self._scale, width = dataset.info, None, None, fwhm
        if kernels:
            found = list(kernels.values())
            sides = np.max([kernel.image.shape for kernel in found], axis=0)
            self._psf = np.zeros((len(found), *sides), dtype=np.float32)
            for plane, kernel in zip(self._psf, found):
                plane[: kernel.image.shape[0], : kernel.image.shape[1]] = kernel.image
            self._scale = float(found[0].scale_arcsec)
            widths = np.asarray([kernel.fwhm() for kernel in found], dtype=np.float32)
            width = float(widths[0]) if np.ptp(widths) == 0 else np.tile(widths, (info.n, 1))
        info = replace(info, psf_fwhm=width, has_psf=self._psf is not None, notes=(*info.notes, *notes))
        super().__init__(dataset.path, info, dataset.name)
        self._dataset = dataset

    def __getattr__(self, name: str) -> Any:
        """What else the data set knows of itself (its provenance, its layout) is not of the PSF."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, with this PSF."""
        rows, width = self.indices(indices), self.info.psf_fwhm
        return replace(
            self._dataset.read(rows),
            psf=self._psf,
            psf_pixel_scale=self._scale,
            psf_fwhm=width[rows] if np.ndim(width) else width,
        )


def widths(dataset: Dataset) -> np.ndarray | None:
    """Return the FWHM [arcsec] of a data set's PSF by band, (C,), the median of the images; None: not known.

    Where the data set has images of its PSF, those of a few galaxies are measured.
    """
    info = dataset.info
    n_bands = len(info.bands)
    if info.psf_fwhm is not None:
        stated = np.asarray(info.psf_fwhm, dtype=float)
        if not np.isfinite(stated).any():
            return None
        middle = np.nanmedian(stated.reshape(-1, n_bands if stated.ndim == 2 else 1), axis=0)
        return np.broadcast_to(middle, (n_bands,))
    if not info.has_psf:
        return None
    cutouts = dataset.read(
        np.unique(np.linspace(0, len(dataset) - 1, min(_IMAGES, len(dataset))).astype(int))
    )
    scale = cutouts.psf_pixel_scale or (
        None if cutouts.pixel_scale is None else float(np.median(cutouts.pixel_scale))
    )
    if cutouts.psf is None or scale is None:
        return None
    each = cutouts.psf.reshape(-1, *cutouts.psf.shape[-2:])
    measured = np.asarray([array_fwhm(image / (image.sum() or 1), scale) for image in each.astype(float)])
    by_band = measured.reshape(-1, n_bands) if cutouts.psf.ndim > 2 else measured[:, None]
    return np.broadcast_to(np.median(by_band, axis=0), (n_bands,))
