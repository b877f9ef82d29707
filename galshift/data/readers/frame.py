"""Cut-outs at sky positions from one large FITS frame, with its mask, noise and PSF; edges are masked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import GIVEN, NUMBERED, Cutouts, DataInfo
from galshift.data.fits_file import describe, open_fits
from galshift.data.fits_header import has_wcs
from galshift.data.fits_layout import AUXILIARY, galaxies_of_file
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._arrays import interpret_labels
from galshift.data.readers._base import Opened, finite
from galshift.data.readers._fits_build import build, masks_of
from galshift.data.readers._fits_data import FitsData
from galshift.data.readers._fits_extras import refuse_blank_centres
from galshift.data.readers._fits_siblings import attach
from galshift.data.readers.catalog import find_column
from galshift.data.roles import assign, check_roles
from galshift.data.tables import read_table
from galshift.errors import DataError, UsageError


@READERS.register("frame")
def open_frame(path: str | Path, options: ReadOptions) -> Opened:
    """Open a frame with a catalogue of positions (degrees, ICRS).

    Raises
    ------
    DataError
        When the frame has no celestial WCS, or no position lies on it.
    UsageError
        When the catalogue or the size is not given.
    """
    path = Path(path)
    if options.catalog is None or options.cutout_size is None:
        raise UsageError(
            "cut-outs from a frame need a catalogue of positions and a size",
            where=path,
            hint="such as --catalog positions.fits --size 12arcsec",
        )
    tile, hdu = _tile(path, options)
    # An option may correct the scale, but positions need the frame's own coordinates.
    if tile.planes[0][hdu]["scale"] is None:
        raise DataError("the frame has no celestial WCS", where=path, hint="cut-outs need sky positions")
    side = parse_size(options.cutout_size, float(tile.info.pixel_scale))
    catalog = Path(options.catalog)
    table = read_table(catalog)
    x, y = _pixels(path, tile.planes[0][hdu]["hdu"], table, catalog)
    height, width = tile.info.shape[-2:]
    on = np.isfinite(x) & np.isfinite(y) & (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    if not on.any():
        raise DataError(
            "no position of the catalogue lies on the frame", where=catalog, hint=f"frame: {path}"
        )
    notes = [f"{int((~on).sum())} of {len(on)} positions lie off the frame"] if not on.all() else []
    dataset = FrameData(path, _info(path, tile.info, table[on], side, notes), tile, x[on], y[on])
    dataset.check_masks()
    return dataset


class FrameData(Opened):
    """Cut-outs of one frame, with its mask and noise; it is read once and stays in memory."""

    def __init__(self, path: Path, info: DataInfo, tile: FitsData, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__(path, info)
        self.tile, self.x, self.y = tile, x, y
        self._frame: Cutouts | None = None

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the cut-outs at `indices`; pixels beyond the frame are masked."""
        rows, info = self.indices(indices), self.info
        frame = self._whole()
        bad = np.zeros(frame.images[0].shape, dtype=bool) if frame.mask is None else frame.mask[0]
        images, mask = finite(
            self._cut(frame.images[0], rows, np.nan),
            self._cut(np.broadcast_to(bad, frame.images[0].shape), rows, True),
        )
        return info.cutouts(
            rows,
            images,
            mask=mask,
            ivar=None if frame.ivar is None else self._cut(frame.ivar[0], rows, 0.0),
            psf=None if frame.psf is None else np.repeat(frame.psf, len(rows), axis=0),
            psf_pixel_scale=frame.psf_pixel_scale,
        )

    def check_masks(self) -> None:
        """Refuse a mask that blanks most galaxies' centres."""
        kinds = [role for role, _ in self.tile.galaxies[0].extra]
        if "mask" not in kinds:
            return
        rows = np.unique(np.linspace(0, len(self) - 1, min(64, len(self))).astype(int))
        name, bad = masks_of(self.tile, 0) or ("", np.zeros(self.tile.info.shape[-2:], dtype=bool))
        stamps = self._cut(bad[None], rows, False)
        refuse_blank_centres(((name, stamp[0]) for stamp in stamps), self.path)

    def _whole(self) -> Cutouts:
        if self._frame is None:
            self._frame = self.tile.read([0])
        return self._frame

    def _cut(self, planes: np.ndarray, rows: np.ndarray, fill: float) -> np.ndarray:
        """Return stamps (n, C, h, w) of planes (C, H, W)."""
        from astropy.nddata import Cutout2D

        side = self.info.shape[1:]
        stamps = [
            [
                Cutout2D(plane, (self.x[i], self.y[i]), side, mode="partial", fill_value=fill, copy=True).data
                for plane in planes
            ]
            for i in rows
        ]
        return np.asarray(stamps)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_frame": None}


def parse_size(text: str, pixel_scale: float) -> int:
    """Return the side in pixels of ``12arcsec``, ``0.2arcmin``, ``64pix`` or ``64``.

    Raises
    ------
    UsageError
        When it is none of these, or not between 2 and 16384 pixels.
    """
    from astropy import units as u

    try:
        size = u.Quantity(text)
        pixels = (
            size.value
            if size.unit in (u.dimensionless_unscaled, u.pix)
            else size.to_value("arcsec") / pixel_scale
        )
    except (TypeError, ValueError, u.UnitsError) as error:
        raise UsageError(
            f"'{text}' is not a size", where="--size", hint="such as 12arcsec or 64pix"
        ) from error
    side = round(float(pixels))
    if not 2 <= side <= 16384:
        raise UsageError(f"'{text}' is {side} pixels, which no cut-out has", where="--size")
    return side


def _tile(path: Path, options: ReadOptions) -> tuple[FitsData, int]:
    """Return the frame as a data set of one image, with what belongs to it, and its (first) plane."""
    described = describe(path)
    check_roles([described], options.roles, path)
    planes = assign(described, options.roles, options.hdu)
    if options.hdu is not None:
        # One chip of a camera is named; what belongs to the frame as a whole still counts.
        rest = [plane for plane in assign(described, options.roles, None) if plane["role"] in AUXILIARY]
        if planes and len({plane["ver"] for plane in rest}) > 1:
            rest = [plane for plane in rest if plane["ver"] == planes[0]["ver"]]
        planes += [plane for plane in rest if plane["hdu"] not in {one["hdu"] for one in planes}]
    if not planes:
        raise DataError(f"it has no image in HDU {options.hdu}", where=path)
    found, notes = galaxies_of_file(0, path.stem, planes, options.bands, where=path)
    galaxies = list(found)
    if len(galaxies) != 1:
        names = ", ".join(
            str(planes[place.plane]["name"] or planes[place.plane]["hdu"])
            for place in (next(iter(galaxy.science.values())) for galaxy in galaxies[:6])
        )
        raise DataError(
            f"it holds {len(galaxies)} images ({names}), and a frame is one",
            where=path,
            hint="choose with --hdu",
        )
    files, all_planes = [path], [planes]
    notes += attach(galaxies[0], files, all_planes, options.roles)
    tile = build(path, "frame", files, all_planes, galaxies, options, notes=notes, whole=False)
    return tile, next(iter(galaxies[0].science.values())).plane


def _pixels(path: Path, hdu: int, table: Any, catalog: Path) -> tuple[np.ndarray, np.ndarray]:
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

    names = [
        find_column(table, words) for words in (("ra", "ra_deg", "raj2000"), ("dec", "dec_deg", "dej2000"))
    ]
    if None in names:
        raise DataError("the catalogue has no columns 'ra' and 'dec'", where=catalog)
    ra, dec = (np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan) for name in names)
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    x, y = np.full(len(table), np.nan), np.full(len(table), np.nan)
    with open_fits(path) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = hdus[hdu].header if has_wcs(hdus[hdu].header) else hdus[0].header
        wcs = WCS(header, hdus).celestial
        x[known], y[known] = SkyCoord(ra[known], dec[known], unit="deg").to_pixel(wcs)
    return x, y


def _info(path: Path, tile: DataInfo, table: Any, side: int, notes: list[str]) -> DataInfo:
    """Return what is known of the cut-outs: the frame's facts, the catalogue's rows."""
    ident = find_column(table, ("id", "ident", "object_id", "objid", "name"))
    klass = find_column(table, ("label", "class", "morphology", "type"))
    ids = np.asarray([str(v).strip() for v in table[ident]]) if ident else np.arange(len(table)).astype(str)
    if len(set(ids.tolist())) < len(ids):
        ids = np.asarray([f"{name}#{i}" for i, name in enumerate(ids)])
    group = find_column(table, ("group", "galaxy", "group_id"))
    labels, classes = interpret_labels(np.asarray(table[klass]) if klass else None, len(table), path)
    return replace(
        tile,
        n=len(table),
        shape=(tile.shape[0], side, side),
        ids=ids,
        groups=np.asarray([str(v) for v in table[group]]) if group else ids,
        groups_from=GIVEN if group else NUMBERED,
        labels=labels,
        classes=classes,
        has_mask=True,
        table=table,
        notes=(*notes, *tile.notes),
    )
