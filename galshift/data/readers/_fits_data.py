"""The data set behind every way of keeping galaxies in FITS files."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.console import warn
from galshift.data.cutouts import Cutouts, DataInfo
from galshift.data.fits_file import load
from galshift.data.fits_layout import AUXILIARY, Galaxy, Place
from galshift.data.mask_bits import spoilt
from galshift.data.readers._base import Opened, finite, pad_stack
from galshift.errors import DataError

# What is read at a time: pixels of some galaxies, or a stack of many that is small enough to keep whole.
_CACHE_BYTES = 16 << 20
_CACHE_BYTES_PLANES = 4 << 20
# A compressed file is unpacked from its start each time, so that of these larger stacks are kept.
_CACHE_BYTES_PACKED = 256 << 20
_PACKED = (".gz", ".bz2", ".z")


class FitsData(Opened):
    """Galaxies whose planes lie in FITS files; built by :func:`galshift.data.readers._fits_build.build`.

    `psf_scale` [arcsec / pixel] is of the PSFs that the files hold.  With `skip`, a galaxy whose pixels turn
    out to be damaged when they are read is told once and masked in full; else it is an error.
    """

    def __init__(
        self,
        path: Path,
        info: DataInfo,
        files: Sequence[Path],
        planes: list[list[dict[str, Any]]],
        galaxies: Sequence[Galaxy],
        factors: np.ndarray,
        *,
        psf_scale: float | None = None,
        skip: bool = False,
    ) -> None:
        super().__init__(path, info)
        self.psf_scale = psf_scale
        self.skip, self._told = skip, set()
        self.files, self.planes, self.galaxies, self.factors = files, planes, galaxies, factors
        self._cache: OrderedDict[tuple[int, int, int | None], np.ndarray] = OrderedDict()
        self._held = 0  # bytes in the cache

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, padded to one size where sizes differ.

        Raises
        ------
        DataError
            When no images are asked for, or one cannot be read and ``on_error`` is ``raise``.
        """
        rows, info = self.indices(indices), self.info
        if not len(rows):
            raise DataError("no images were asked for", where=self.path)
        images, masks, ivars = [], [], []
        ahead = max(1, _CACHE_BYTES // (8 * int(np.prod(info.shape))))
        for position, row in enumerate(rows):
            if position % ahead == 0:
                self._fetch_together(rows[position : position + ahead])
            image, mask, ivar = self._galaxy_or_nothing(int(row))
            images.append(image)
            masks.append(mask)
            ivars.append(ivar)
        ragged = info.ragged
        stack = pad_stack(images, info.shape[1:] if ragged else None)
        mask = pad_stack(masks, info.shape[1:] if ragged else None).astype(bool) if info.has_mask else None
        with np.errstate(over="ignore"):
            stack, mask = finite(stack, mask)
        ivar = None
        if info.has_ivar:
            ivar = np.nan_to_num(pad_stack(ivars, info.shape[1:] if ragged else None), posinf=0, neginf=0)
        psf, psf_scale = self._psfs(rows) if info.has_psf else (None, None)
        return info.cutouts(rows, stack, mask=mask, ivar=ivar, psf=psf, psf_pixel_scale=psf_scale)

    def _psfs(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the PSFs (N, C, P, Q) of some galaxies, padded with 0, and their pixel [arcsec]."""
        kernels = [
            [self._kernel(galaxy, band) for band in self.info.bands]
            for galaxy in (self.galaxies[int(row)] for row in rows)
        ]
        sides = np.max([kernel.shape for each in kernels for kernel in each], axis=0)
        stack = np.zeros((len(rows), len(self.info.bands), *sides), dtype=np.float32)
        for planes, each in zip(stack, kernels):
            for plane, kernel in zip(planes, each):
                plane[: kernel.shape[0], : kernel.shape[1]] = kernel
        return stack, self.psf_scale

    def _kernel(self, galaxy: Galaxy, band: str) -> np.ndarray:
        place = (galaxy.extra.get(("psf", band)) or galaxy.extra[("psf", None)])[0]
        self._fetch([place])
        return np.nan_to_num(self._plane(place), posinf=0, neginf=0)

    def _fetch_together(self, rows: np.ndarray) -> None:
        """Bring what some galaxies need into the cache: a file that they share is walked through once."""
        try:
            self._fetch([place for row in rows for place in self._places(int(row))])
        except DataError:
            # One of them is damaged: each is then read by itself.
            if not self.skip:
                raise

    def _galaxy_or_nothing(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        try:
            self._fetch(self._places(row))
            return self._galaxy(row)
        except DataError as error:
            if not self.skip:
                raise
            if row not in self._told:
                self._told.add(row)
                warn(f"{error.where}: {error.what}; all of {self.info.ids[row]} is masked")
            nothing = np.full(self.info.shape, np.nan, dtype=np.float32)
            return nothing, np.ones(self.info.shape, dtype=np.float32), np.zeros(self.info.shape, np.float32)

    def _galaxy(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return one galaxy's image (float64 scaled, then float32), mask and inverse variance (C, H, W)."""
        galaxy, factors = self.galaxies[row], self.factors[row]
        places = [galaxy.science[band] for band in self.info.bands]
        planes = [self._plane(place) * factor for place, factor in zip(places, factors)]
        shape = planes[0].shape
        if any(plane.shape != shape for plane in planes):
            raise DataError(f"the bands of {galaxy.name} differ in size", where=self.files[galaxy.file])
        bad = [np.zeros(shape, dtype=bool) for _ in planes]
        ivar = [np.zeros(shape) for _ in planes]
        for c, band in enumerate(self.info.bands):
            for role in AUXILIARY:
                found = galaxy.extra.get((role, band)) or galaxy.extra.get((role, None)) or ()
                values = [self._plane(place) for place in found] if role != "psf" else []
                for plane, place in zip(values, found):
                    if plane.shape != shape:
                        where = self.files[place.file]
                        raise DataError(
                            f"the {role} of {galaxy.name} is not of its image's size", where=where
                        )
                if values:
                    self._apply(role, values, found, factors[c], bad[c], ivar[c])
        with np.errstate(over="ignore", invalid="ignore"):
            image = np.stack(planes).astype(np.float32)
        weights = np.stack(ivar).astype(np.float32) if self.info.has_ivar else None
        return image, np.stack(bad).astype(np.float32), weights

    def _places(self, row: int) -> list[Place]:
        galaxy = self.galaxies[row]
        extras = [place for places in galaxy.extra.values() for place in places]
        return [*(galaxy.science[band] for band in self.info.bands), *extras]

    def _apply(
        self,
        role: str,
        values: list[np.ndarray],
        places: Sequence[Place],
        factor: float,
        bad: np.ndarray,
        ivar: np.ndarray,
    ) -> None:
        """Mark bad pixels, and set the inverse variance where nothing better has: error, variance, weight."""
        if role == "mask":
            for plane, place in zip(values, places):
                bad |= spoilt(plane, self.planes[place.file][place.plane].get("bits"))
            return
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            total = np.sum(values, axis=0)
            inverse = total if role == "weight" else 1 / (total if role == "variance" else total**2)
            found = np.where(np.isfinite(inverse) & (inverse > 0), inverse / factor**2, 0)
        bad |= found <= 0
        plane = self.planes[places[0].file][places[0].plane]
        if not ivar.any() and not (role == "weight" and plane.get("relative")):
            ivar[:] = found

    def _plane(self, place: Place) -> np.ndarray:
        key = self._key(place)
        index = place.index if key[2] is None else place.index[1:]
        return self._cache[key][tuple(slice(None) if i is None else i for i in index)].astype(np.float64)

    def _key(self, place: Place) -> tuple[int, int, int | None]:
        """Return what is read at a time: file, plane, and of a stack too large to keep the one image."""
        part = place.index[0] if place.index else None
        if part is not None:
            whole = 8 * math.prod(self.planes[place.file][place.plane]["shape"])
            part = None if whole <= self._limit(place.file) else part
        return place.file, place.plane, part

    def _kept(self, key: tuple[int, int, int | None]) -> int:
        """Return how many bytes may stay for what follows: a stack holds more of it, a plane is read once."""
        file, plane, part = key
        one = part is not None or math.prod(self.planes[file][plane]["shape"][:-2]) == 1
        return min(_CACHE_BYTES_PLANES, self._limit(file)) if one else self._limit(file)

    def _limit(self, file: int) -> int:
        packed = self.files[file].suffix.lower() in _PACKED
        return _CACHE_BYTES_PACKED if packed else _CACHE_BYTES

    def _fetch(self, places: Sequence[Place]) -> None:
        """Bring the arrays of some places into the cache, opening each file once."""
        needed = dict.fromkeys(self._key(place) for place in places)
        wanted: dict[int, list[tuple[int, int, int | None]]] = {}
        for key in needed:
            if key in self._cache:
                self._cache.move_to_end(key)
            else:
                wanted.setdefault(key[0], []).append(key)
        for file, keys in wanted.items():
            planes = self.planes[file]
            arrays = load(self.files[file], [(planes[n], part) for _, n, part in keys])
            self._cache.update(zip(keys, arrays))
            self._held += sum(array.nbytes for array in arrays)
        limit = max(map(self._kept, needed), default=_CACHE_BYTES)
        while self._held > limit and len(self._cache) > len(needed):
            key = next(key for key in self._cache if key not in needed)
            self._held -= self._cache.pop(key).nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": OrderedDict(), "_held": 0}
