"""Cut-outs at sky positions from one large FITS frame, edges padded and masked."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import GIVEN, NUMBERED, Cutouts, DataInfo
from galshift.data.fits_file import describe, load, open_fits
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._arrays import declared_unit, interpret_labels
from galshift.data.readers._base import Opened, finite
from galshift.data.readers.catalog import find_column
from galshift.data.tables import read_table
from galshift.data.units import is_magnitude, njy_per_count
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
    plane = _science_plane(path, options)
    scale = options.pixel_scale_arcsec or plane["scale"]
    if plane["scale"] is None:
        raise DataError("the frame has no celestial WCS", where=path, hint="cut-outs need sky positions")
    side = parse_size(options.cutout_size, scale)
    catalog = Path(options.catalog)
    table = read_table(catalog)
    x, y = _pixels(path, plane["hdu"], table, catalog)
    height, width = plane["shape"][-2:]
    on = np.isfinite(x) & np.isfinite(y) & (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    if not on.any():
        raise DataError(
            "no position of the catalogue lies on the frame", where=catalog, hint=f"frame: {path}"
        )
    notes = [f"{int((~on).sum())} of {len(on)} positions lie off the frame"] if not on.all() else []
    info = _info(path, plane, table[on], side, scale, options, notes)
    factor = plane["factor"]
    if options.zero_point is not None:
        zero_point = options.zero_point
        if isinstance(zero_point, dict):
            zero_point = zero_point.get(info.bands[0], 0.0)
        factor = njy_per_count(zero_point)
    elif options.unit is not None:
        factor = 1.0
    return FrameData(path, info, plane, x[on], y[on], float(factor))


class FrameData(Opened):
    """Cut-outs of one frame, which is read once and kept."""

    def __init__(
        self, path: Path, info: DataInfo, plane: dict[str, Any], x: np.ndarray, y: np.ndarray, factor: float
    ) -> None:
        super().__init__(path, info)
        self.plane, self.x, self.y, self.factor = plane, x, y, factor
        self._frame: np.ndarray | None = None

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the cut-outs at `indices`; pixels beyond the frame are masked."""
        from astropy.nddata import Cutout2D

        rows, info = self.indices(indices), self.info
        if self._frame is None:
            as_unit = "mag / arcsec2" if self.plane.get("magnitudes") else None
            (data,) = load(self.path, [(self.plane["hdu"], as_unit, None)])
            self._frame = data.reshape(data.shape[-2:]).astype(np.float32) * np.float32(self.factor)
        side = info.shape[1:]
        cuts = [
            Cutout2D(
                self._frame, (self.x[i], self.y[i]), side, mode="partial", fill_value=np.nan, copy=True
            ).data
            for i in rows
        ]
        images, mask = finite(np.stack(cuts)[:, None])
        return Cutouts(
            images=images,
            unit=info.unit or "",
            pixel_scale=info.pixel_scale,
            bands=info.bands,
            ids=info.ids[rows],
            groups=info.groups[rows],
            labels=None if info.labels is None else info.labels[rows],
            classes=info.classes,
            mask=np.zeros(images.shape, dtype=bool) if mask is None else mask,
            table=info.table[rows],
        )

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


def _science_plane(path: Path, options: ReadOptions) -> dict[str, Any]:
    planes = [p for p in describe(path) if p["role"] in (None, "science") and np.prod(p["shape"][:-2]) == 1]
    if options.hdu is not None:
        planes = [p for p in planes if str(options.hdu) in (str(p["hdu"]), p["name"])]
    if not planes:
        raise DataError("it holds no two-dimensional image", where=path)
    return dict(max(planes, key=lambda plane: np.prod(plane["shape"])))


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
        wcs = WCS(hdus[hdu].header, hdus).celestial
        x[known], y[known] = SkyCoord(ra[known], dec[known], unit="deg").to_pixel(wcs)
    return x, y


def _info(
    path: Path,
    plane: dict[str, Any],
    table: Any,
    side: int,
    scale: float,
    options: ReadOptions,
    notes: list[str],
) -> DataInfo:
    ident = find_column(table, ("id", "ident", "object_id", "objid", "name"))
    klass = find_column(table, ("label", "class", "morphology", "type"))
    ids = np.asarray([str(v).strip() for v in table[ident]]) if ident else np.arange(len(table)).astype(str)
    if len(set(ids.tolist())) < len(ids):
        ids = np.asarray([f"{name}#{i}" for i, name in enumerate(ids)])
    group = find_column(table, ("group", "galaxy", "group_id"))
    labels, classes = interpret_labels(np.asarray(table[klass]) if klass else None, len(table), path)
    unit = "nJy" if options.zero_point is not None else declared_unit(options) or plane["unit"]
    if is_magnitude(unit):
        plane["magnitudes"], unit = True, "nJy / arcsec2"
    band = options.bands[0] if options.bands else plane["band"] or "band0"
    return DataInfo(
        n=len(table),
        shape=(1, side, side),
        reader="frame",
        unit=unit,
        pixel_scale=scale,
        bands=(band,),
        ids=ids,
        groups=np.asarray([str(v) for v in table[group]]) if group else ids,
        groups_from=GIVEN if group else NUMBERED,
        labels=labels,
        classes=classes,
        has_mask=True,
        table=table,
        notes=(*notes, *([plane["note"]] if plane["note"] else [])),
    )
