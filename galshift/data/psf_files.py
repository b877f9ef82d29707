"""PSFs in files of the user: which plane, how fine its pixels are, and whether it can be a PSF at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from galshift.data.fits_file import describe, load, open_fits
from galshift.data.psf_array import ArrayPsf
from galshift.data.psf_check import examine
from galshift.data.roles import band_in
from galshift.errors import DataError

#: The constant that SDSS's read_PSF adds to every pixel (sdss.org, algorithms, "Extracting PSF images").
SOFT_BIAS = 1000


class Kernel(NamedTuple):
    """One PSF of a file: its plane, its place along the plane's first long axis, and its band if stated."""

    plane: int
    index: tuple[int | None, ...]
    band: str | None


@lru_cache(maxsize=64)
def load_kernel(path: str, scale_arcsec: float | None, band: str, option: str, hint: str = "") -> ArrayPsf:
    """Return the PSF for `band` in a FITS file or ``.npy``.

    Parameters
    ----------
    path : str
    scale_arcsec : float or None
        Its pixel, where the user states it; else the header must.
    band : str
        Of the survey or of the input; the plane whose BAND, FILTER, BANDS or EXTNAME says so is taken.
    option : str
        What the user sets to state the scale, for messages.
    hint : str
        How that is done, where it is not ``--set OPTION=0.03``.

    Returns
    -------
    ArrayPsf
        `said` holds what a user should know of it.

    Raises
    ------
    DataError
        When there is no such file, no PSF for the band, no pixel scale, or the image cannot be a PSF.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError("there is no such PSF file", where=path)
    if file.suffix == ".npy":
        image, scale, said = _from_npy(file), None, []
        if image.ndim != 2:
            raise DataError(f"a PSF is a 2-D image, and this has the shape {image.shape}", where=path)
    else:
        image, scale, said = _from_fits(file, band)
    if scale_arcsec is not None and scale is not None and abs(scale_arcsec / scale - 1) > 0.01:
        said.append(f"{option} = {scale_arcsec:g} goes before the {scale:.4g} arcsec of its header")
    scale = scale_arcsec or scale
    if scale is None:
        raise DataError(
            f"the PSF file states no pixel scale{_oversampling(file)}",
            where=path,
            hint=f"state that of its own pixels in arcsec, such as {hint or f'--set {option}=0.03'}",
        )
    image, bias = _without_bias(np.asarray(image, dtype=float))
    if bias:
        said.append(f"the soft bias of {bias:g} was taken off")
    found = examine(image, scale, where=path)
    return replace(ArrayPsf(image, scale, scale), said=(*found, *said))


def _from_npy(file: Path) -> np.ndarray:
    try:
        # Mapped, so that a header cannot claim more than the file has.
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header is parsed as Python's, and can be wrong in as many ways
        raise DataError("the PSF file cannot be read as a .npy array of numbers", where=file) from error


def _from_fits(file: Path, band: str) -> tuple[np.ndarray, float | None, list[str]]:
    """Return the image, the scale that the file states, and what to say."""
    try:
        planes = describe(file)
    except DataError as error:
        if "tables" not in error.what:
            raise
        raise DataError(
            f"the PSF file has no image: {error.what}",
            where=file,
            hint="an SDSS psField file holds eigenimages: read_PSF makes the image at one place of the field",
        ) from error
    kernels = _kernels(planes)
    chosen, said = _for_band(kernels, planes, band, file)
    plane = planes[chosen.plane]
    (data,) = load(file, [(plane, None)])
    return data[tuple(slice(None) if i is None else i for i in chosen.index)], plane["kernel_scale"], said


def _kernels(planes: list[dict[str, Any]]) -> list[Kernel]:
    """Return the PSFs of a file: planes that are called so, else those that are called nothing else."""
    named = [i for i, plane in enumerate(planes) if plane["role"] == "psf"]
    named = named or [i for i, plane in enumerate(planes) if plane["role"] in (None, "image")]
    found = []
    for i in named:
        shape, plane = planes[i]["shape"], planes[i]
        long = [axis for axis, side in enumerate(shape[:-2]) if side > 1]
        own = band_in(str(plane["name"]))
        band = own[0] if own else plane["band"]
        flat: list[int | None] = [0] * (len(shape) - 2) + [None, None]
        if not long:
            found.append(Kernel(i, tuple(flat), band))
            continue
        for n in range(shape[long[0]]):
            index = flat.copy()
            index[long[0]] = n
            names = plane["bands"]
            found.append(Kernel(i, tuple(index), names[n] if len(names) == shape[long[0]] else None))
    return found


def _for_band(
    kernels: list[Kernel], planes: list[dict[str, Any]], band: str, file: Path
) -> tuple[Kernel, list[str]]:
    """Return the PSF of a band, and what to say where the file names another one."""
    if not kernels:
        raise DataError("the PSF file holds no 2-D image", where=file)
    fitting = [kernel for kernel in kernels if kernel.band is not None and _same(kernel.band, band)]
    if len(fitting) == 1:
        return fitting[0], []
    if len(kernels) == 1:
        other = kernels[0].band
        return kernels[0], [f"the file is of {other}, and stands for {band}"] if other else []
    names = sorted({kernel.band for kernel in kernels if kernel.band is not None})
    whose = f"; they are of {', '.join(names)}" if names else ", and does not say of which bands they are"
    several = f"{len(fitting)} of them are of {band}" if fitting else f"none is said to be of {band}"
    raise DataError(
        f"the PSF file holds {len(kernels)} PSFs{whose}: {several}",
        where=file,
        hint="name its planes by the keyword BANDS (such as 'g,r,i'), its extensions by EXTNAME or FILTER, "
        "or write the one that is meant to a file of its own",
    )


def _same(one: str, other: str) -> bool:
    """Return whether two names mean the same band (``HSC-I`` is ``i``)."""
    short = [(band_in(name) or (name, ""))[0].casefold() for name in (one, other)]
    return short[0] == short[1]


def _oversampling(file: Path) -> str:
    """Return a header's OVERSAMP in words: it says how fine the pixels are, and not of what."""
    if file.suffix == ".npy":
        return ""
    with open_fits(file) as hdus:
        times = next((hdu.header["OVERSAMP"] for hdu in hdus if "OVERSAMP" in hdu.header), None)
    return "" if times is None else f", only that its pixels are {times} times finer than some detector's"


def _without_bias(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Take SDSS's soft bias off an image whose border shows exactly that, and return it too (0: none)."""
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    if abs(np.nanmedian(border) - SOFT_BIAS) <= 1 and np.nanmax(image) > SOFT_BIAS + 10:
        return image - SOFT_BIAS, SOFT_BIAS
    return image, 0.0


def kernel_notes(path: str, psfs: Mapping[str, object], usual: Mapping[str, float]) -> tuple[str, ...]:
    """Return what a user should know of a PSF file: width, oddities, the bands that one PSF serves.

    Parameters
    ----------
    path : str
    psfs : mapping
        The PSF of each band; those that are no images are passed over.
    usual : mapping
        FWHM [arcsec] that a survey states, by band.
    """
    alike: dict[tuple[bytes, tuple[str, ...]], list[str]] = {}
    for band, psf in psfs.items():
        if isinstance(psf, ArrayPsf):
            alike.setdefault((psf.image.tobytes(), psf.said), []).append(band)
    notes = []
    for (_, said), bands in alike.items():
        serves = f"one PSF for {', '.join(bands)}" if len(bands) > 1 else f"for {bands[0]}"
        notes.append(f"the PSF of {Path(path).name}, {serves}: {'; '.join(said)}")
    for band, fwhm in usual.items():
        psf = psfs.get(band)
        if isinstance(psf, ArrayPsf) and not 0.5 < psf.fwhm() / fwhm < 2:
            times = psf.fwhm() / fwhm
            notes.append(f"in {band} the PSF is {times:.2g} times as wide as the survey's {fwhm:.3g} arcsec")
    return tuple(notes)
