"""PSFs that a catalogue names row by row (``PSF_FILENAME``, ``PSF_HDU``), as GalSim's RealGalaxy ones do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.fits_file import open_fits
from galshift.data.fits_header import kernel_scale_of
from galshift.errors import DataError

_FILES = ("psf_filename", "psf_file", "psf_path")
_HDUS = ("psf_hdu", "psf_ext")


def attach_psfs(cutouts: Cutouts, folder: str | Path) -> Cutouts:
    """Return `cutouts` with the PSF that each row of its table names; unchanged where none is named.

    Parameters
    ----------
    cutouts : Cutouts
    folder : path-like
        What the file names are relative to.

    Returns
    -------
    Cutouts
        With `psf` (N, C, P, Q), smaller kernels padded with 0, in pixels of the images' scale.

    Raises
    ------
    DataError
        When a PSF that the table names is not there.
    """
    files = _column(cutouts, _FILES)
    if cutouts.psf is not None or files is None or not len(cutouts):
        return cutouts
    hdus = _column(cutouts, _HDUS)
    numbers = [0] * len(cutouts) if hdus is None else [int(hdu) for hdu in hdus]
    kernels, stated = _read([Path(folder) / str(file).strip() for file in files], numbers)
    shape = tuple(np.max([kernel.shape for kernel in kernels], axis=0))
    stack = np.zeros((len(kernels), 1, *shape), dtype=np.float32)
    for plane, kernel in zip(stack[:, 0], kernels):
        plane[: kernel.shape[0], : kernel.shape[1]] = kernel
    # GalSim's PSFs state no scale: they have the pixels of their images.
    scale = None if cutouts.pixel_scale is None else float(np.ravel(cutouts.pixel_scale)[0])
    if stated:
        if len(stated) > 1:
            found = ", ".join(f"{value:.4g}" for value in sorted(stated))
            raise DataError(f"the PSFs differ in pixel scale (arcsec): {found}", where=folder)
        scale = stated.pop()
    return cutouts.with_(psf=np.repeat(stack, len(cutouts.bands), axis=1), psf_pixel_scale=scale)


def _column(cutouts: Cutouts, names: tuple[str, ...]) -> Any:
    """The first column of the table with one of these names, whatever its capitals; None without one."""
    if cutouts.table is None:
        return None
    folded = {name.casefold(): name for name in cutouts.table.colnames}
    found = next((folded[name] for name in names if name in folded), None)
    return None if found is None else cutouts.table[found]


def _read(files: list[Path], hdus: list[int]) -> tuple[list[np.ndarray], set[float]]:
    """Each named image, every file opened once, and the pixel scales [arcsec] that their headers state."""
    kernels: dict[int, np.ndarray] = {}
    stated: set[float] = set()
    for file in sorted(set(files)):
        if not file.is_file():
            raise DataError("the catalogue names a PSF file that is not there", where=file)
        with open_fits(file) as opened:
            for i in [i for i, name in enumerate(files) if name == file]:
                if not 0 <= hdus[i] < len(opened) or getattr(opened[hdus[i]].data, "ndim", 0) != 2:
                    raise DataError(f"HDU {hdus[i]} holds no 2-D PSF", where=file)
                scale, _ = kernel_scale_of(opened[hdus[i]].header)
                stated |= set() if scale is None else {round(scale, 6)}
                kernels[i] = np.asarray(opened[hdus[i]].data, dtype=np.float32)
    return [kernels[i] for i in range(len(files))], stated
