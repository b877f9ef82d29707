"""The one container of galaxy images, and what anything that can be opened looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from galshift.errors import DataError

if TYPE_CHECKING:
    from astropy.table import Table

#: `groups_from` of groups that someone named: the same name is the same galaxy in every data set.
GIVEN = "given"
#: `groups_from` of groups that are row numbers or file names: they mean nothing beyond their data set.
NUMBERED = "numbered"


@dataclass(frozen=True)
class Cutouts:
    """N images of galaxies and everything known about them.

    Attributes
    ----------
    images : ndarray
        (N, C, H, W) float32; bad pixels are finite (0) and True in `mask`.
    unit : str
        astropy unit string of one pixel (``nJy``), or ``dimensionless`` after a stretch or for pictures.
    pixel_scale : float or ndarray or None
        arcsec per pixel, one for all or (N,); None when it is not known.
    bands : tuple of str
        The C band names, in order.
    ids, groups : ndarray of str
        (N,) names; `groups` is the galaxy that an image shows (cameras, bands, flips or mocks of one galaxy
        share a group) and defaults to `ids`.
    groups_from : str
        Where the names of groups come from: ``given`` where someone named the galaxies, ``numbered`` where
        they are row numbers or file names, which link no two data sets; or what was made of one such data
        set, ``numbered ...``, whose products show the same galaxies under the same names.
    labels : ndarray or None
        (N,) int64 class indices, with -1 where an image has none; (N, K) soft labels or votes, or
        (N,) or (N, L) float32 continuous ones; None when the data set has none.
    classes : tuple of str
        Names of the K classes, or of the L continuous labels; empty without.
    mask : ndarray or None
        (N, C, H, W) or (N, H, W) bool, True = bad.
    ivar : ndarray or None
        Inverse variance, shape of `images`, in unit**-2; 0 where unknown.
    psf_fwhm : float or ndarray or None
        arcsec, one for all or (N,) or (N, C).
    psf : ndarray or None
        (P, P), (C, P, P) or (N, C, P, P) kernel with its own `psf_pixel_scale` [arcsec / pixel].
    psf_pixel_scale : float or None
    survey : str or None
    history : tuple of str
        The steps applied so far, oldest first.
    table : Table or None
        N catalogue rows (ra, dec, redshift, ...) passed through to every product.
    """

    images: np.ndarray
    unit: str = "dimensionless"
    pixel_scale: float | np.ndarray | None = None
    bands: tuple[str, ...] = ()
    ids: np.ndarray | None = None
    groups: np.ndarray | None = None
    groups_from: str = ""
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    mask: np.ndarray | None = None
    ivar: np.ndarray | None = None
    psf_fwhm: float | np.ndarray | None = None
    psf: np.ndarray | None = None
    psf_pixel_scale: float | None = None
    survey: str | None = None
    history: tuple[str, ...] = ()
    table: Table | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.images.ndim != 4:
            raise DataError(f"images must have shape (N, C, H, W), not {self.images.shape}")
        n, n_bands = self.images.shape[:2]
        set_ = object.__setattr__
        set_(self, "images", np.ascontiguousarray(self.images, dtype=np.float32))
        set_(self, "bands", tuple(self.bands) or tuple(f"band{i}" for i in range(n_bands)))
        ids = np.asarray([str(i) for i in range(n)] if self.ids is None else self.ids).astype(str)
        set_(self, "ids", ids)
        set_(self, "groups_from", self.groups_from or (NUMBERED if self.groups is None else GIVEN))
        set_(self, "groups", ids if self.groups is None else np.asarray(self.groups).astype(str))
        set_(self, "classes", tuple(str(c) for c in self.classes))
        self._check(n, n_bands)

    def _check(self, n: int, n_bands: int) -> None:
        if len(self.bands) != n_bands:
            raise DataError(f"{len(self.bands)} band names for images with {n_bands} bands")
        for name in ("ids", "groups", "labels", "table", "mask", "ivar"):
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise DataError(f"{name} has {len(value)} entries for {n} images")
        for name in ("pixel_scale", "psf_fwhm"):
            value = getattr(self, name)
            if value is not None and np.ndim(value) > 0 and len(value) != n:
                raise DataError(f"{name} has {len(value)} entries for {n} images")
        if self.mask is not None and self.mask.shape not in (self.images.shape, self._plane_shape()):
            raise DataError(f"mask has shape {self.mask.shape} for images of shape {self.images.shape}")
        if self.ivar is not None and self.ivar.shape != self.images.shape:
            raise DataError(f"ivar has shape {self.ivar.shape} for images of shape {self.images.shape}")

    def _plane_shape(self) -> tuple[int, ...]:
        return (self.images.shape[0], *self.images.shape[2:])

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, with their metadata."""
        indices = np.asarray(indices)
        n, changed = len(self), {}
        for item in fields(self):
            value = getattr(self, item.name)
            per_image = item.name in ("images", "ids", "groups", "labels", "mask", "ivar", "table")
            if item.name in ("pixel_scale", "psf_fwhm"):
                per_image = np.ndim(value) > 0 if value is not None else False
            if item.name == "psf":
                per_image = value is not None and value.ndim == 4 and len(value) == n
            if per_image and value is not None:
                changed[item.name] = value[indices]
        return replace(self, **changed)

    def with_(self, step: str | None = None, **changes: Any) -> Cutouts:
        """Return a copy with `changes`, and `step` appended to the history."""
        if step is not None:
            changes["history"] = (*self.history, step)
        return replace(self, **changes)


@dataclass(frozen=True)
class DataInfo:
    """What is known of a data set without reading its pixels.

    Attributes
    ----------
    n : int
        Number of images.
    shape : tuple of int
        (C, H, W) of one image; where sizes differ (`ragged`), H and W are the largest, and ``read`` pads
        every image to them, the padding masked.
    reader : str
        Name of the reader that opened it.
    unit, pixel_scale, bands, classes, survey, psf_fwhm, history
        As in :class:`Cutouts`; ``unit`` is None where it is not known.
    ids, groups : ndarray of str
        (N,).
    groups_from : str
        As in :class:`Cutouts`.
    match_radius_arcsec : float or None
        Galaxies of another data set that lie no farther away on the sky are the same galaxies.
    labels : ndarray or None
        As in :class:`Cutouts`.
    has_mask, has_ivar, has_psf, ragged : bool
    table : Table or None
    notes : tuple of str
        What the reader had to assume or skip, for people.
    origins : dict
        Where ``unit``, ``pixel_scale``, ``bands``, ``mask``, ``noise`` and ``psf`` came from: a keyword and
        its HDU, an option, a convention; what is not known has no entry.
    left_out : tuple of str
        ``name: why`` of each file or image that cannot be read, with ``on_error="skip"``.
    """

    n: int
    shape: tuple[int, int, int]
    reader: str
    unit: str | None
    pixel_scale: float | np.ndarray | None
    bands: tuple[str, ...]
    ids: np.ndarray
    groups: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    survey: str | None = None
    psf_fwhm: float | np.ndarray | None = None
    history: tuple[str, ...] = ()
    has_mask: bool = False
    has_ivar: bool = False
    has_psf: bool = False
    ragged: bool = False
    table: Table | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    groups_from: str = NUMBERED
    match_radius_arcsec: float | None = None
    origins: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def cutouts(
        self,
        rows: np.ndarray,
        images: np.ndarray,
        *,
        mask: np.ndarray | None = None,
        ivar: np.ndarray | None = None,
        psf: np.ndarray | None = None,
        psf_pixel_scale: float | None = None,
    ) -> Cutouts:
        """Return the pixels that a reader has read, with what is known of these images.

        Parameters
        ----------
        rows : ndarray
            (n,) int, the images in this data set.
        images, mask, ivar, psf, psf_pixel_scale
            As in :class:`Cutouts`, of these n images.
        """
        return Cutouts(
            images=images,
            unit=self.unit or "",
            pixel_scale=each_or_one(self.pixel_scale, rows),
            bands=self.bands,
            ids=self.ids[rows],
            groups=self.groups[rows],
            groups_from=self.groups_from,
            labels=None if self.labels is None else self.labels[rows],
            classes=self.classes,
            mask=mask,
            ivar=ivar,
            psf_fwhm=each_or_one(self.psf_fwhm, rows),
            psf=psf,
            psf_pixel_scale=psf_pixel_scale,
            survey=self.survey,
            history=self.history,
            table=None if self.table is None else self.table[rows],
        )


def each_or_one(value: float | np.ndarray | None, rows: np.ndarray) -> float | np.ndarray | None:
    """Return a number of each image, (N, ...), at `rows`; one that all share, or None, as it is."""
    return value[rows] if value is not None and np.ndim(value) else value


@runtime_checkable
class Dataset(Protocol):
    """Anything that can be opened: metadata at once, pixels in pieces.

    ``path`` is where it came from (for messages and hashes), ``name`` its short name in reports (the stem).
    """

    path: Any
    name: str
    info: DataInfo

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order."""
        ...


class InMemory:
    """A :class:`Cutouts` as a data set; `reader` names the format that it was read from."""

    def __init__(
        self, cutouts: Cutouts, name: str = "memory", path: Any = None, *, reader: str = "memory"
    ) -> None:
        self.cutouts, self.name, self.path = cutouts, name, path
        self.info = DataInfo(
            n=len(cutouts),
            shape=cutouts.images.shape[1:],
            reader=reader,
            unit=cutouts.unit,
            pixel_scale=cutouts.pixel_scale,
            bands=cutouts.bands,
            ids=cutouts.ids,
            groups=cutouts.groups,
            groups_from=cutouts.groups_from,
            labels=cutouts.labels,
            classes=cutouts.classes,
            survey=cutouts.survey,
            psf_fwhm=cutouts.psf_fwhm,
            history=cutouts.history,
            has_mask=cutouts.mask is not None,
            has_ivar=cutouts.ivar is not None,
            has_psf=cutouts.psf is not None,
            table=cutouts.table,
        )

    def __len__(self) -> int:
        return len(self.cutouts)

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order."""
        return self.cutouts.take(indices)
