"""A data set seen through some of its bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.match import band_order
from galshift.data.readers._base import Opened
from galshift.errors import DataError


def with_bands(dataset: Dataset, bands: Sequence[str]) -> Dataset:
    """Return `dataset` with the named bands in that order; itself where it has exactly those.

    Raises
    ------
    DataError
        When it lacks one of them.
    """
    have = dataset.info.bands
    if not bands or tuple(bands) == tuple(have):
        return dataset
    missing = [band for band in bands if band not in have]
    if missing:
        raise DataError(
            f"--bands {','.join(bands)} does not fit: the images have the bands {','.join(have)}",
            where=dataset.path,
            hint="name all of them, in the order of the band axis, or choose among them",
        )
    return SomeBands(dataset, band_order(have, bands))


class SomeBands(Opened):
    """The bands of `dataset` at the places `order`."""

    def __init__(self, dataset: Dataset, order: Sequence[int]) -> None:
        info = dataset.info
        bands = tuple(info.bands[i] for i in order)
        width = info.psf_fwhm
        if np.ndim(width) == 2:
            width = np.asarray(width)[:, list(order)]
        info = replace(info, bands=bands, shape=(len(order), *info.shape[1:]), psf_fwhm=width)
        super().__init__(dataset.path, info, dataset.name)
        self._dataset, self._order = dataset, list(order)

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, with these bands alone."""
        whole, order = self._dataset.read(indices), self._order
        n_bands, psf, width = len(whole.bands), whole.psf, whole.psf_fwhm
        if psf is not None and psf.ndim > 2 and psf.shape[-3] == n_bands:
            psf = psf[..., order, :, :]
        return replace(
            whole,
            images=whole.images[:, order],
            bands=self.info.bands,
            mask=whole.mask[:, order] if whole.mask is not None and whole.mask.ndim == 4 else whole.mask,
            ivar=None if whole.ivar is None else whole.ivar[:, order],
            psf=psf,
            psf_fwhm=np.asarray(width)[:, order] if np.ndim(width) == 2 else width,
        )
