"""One FITS file: an image, a cube of bands or of galaxies, or many extensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import GIVEN
from galshift.data.fits_file import describe, open_fits
from galshift.data.fits_layout import galaxies_of_file
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._arrays import interpret_labels
from galshift.data.readers._base import Opened, stem
from galshift.data.readers._fits_data import build
from galshift.data.readers.catalog import CLASSES, GROUPS, find_column
from galshift.errors import DataError


@READERS.register("fits")
def open_fits_file(path: str | Path, options: ReadOptions) -> Opened:
    """Open one FITS file.

    Raises
    ------
    DataError
        When it is broken, holds no image, or has no extension of the name or number that was asked for.
    """
    path = Path(path)
    if options.catalog is not None:
        from galshift.data.readers.frame import open_frame

        return open_frame(path, options)
    try:
        planes = describe(path)
    except DataError:
        if not _names_files(path):
            raise
        from galshift.data.readers.catalog import open_catalog

        return open_catalog(path, options)
    if options.hdu is not None:
        planes = [{**plane, "role": None} for plane in planes if _is(plane, options.hdu)]
        if not planes:
            have = ", ".join(f"{plane['hdu']} {plane['name']}".strip() for plane in describe(path))
            raise DataError(f"it has no image in HDU {options.hdu}", where=path, hint=f"images: {have}")
    galaxies, notes = galaxies_of_file(0, stem(path), planes, options.bands)
    rows = _rows(path, len(galaxies)) if len(galaxies) > 1 else {}
    return build(path, "fits", [path], [planes], galaxies, options, notes=notes, **rows)


def _rows(path: Path, n: int) -> dict[str, Any]:
    """Return the table in the same file that has one row a galaxy, and the labels in it.

    The class is its column called ``label``, ``class``, ..., or its only column.
    """
    from astropy.io import fits
    from astropy.table import Table

    with open_fits(path) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU) and not hdu.is_image]
        fitting = [hdu for hdu in tables if hdu.header.get("NAXIS2") == n]
        if len(fitting) != 1:
            return {}
        table = Table(fitting[0].data)
    named = find_column(table, CLASSES) or (table.colnames[0] if len(table.colnames) == 1 else None)
    group = find_column(table, GROUPS)
    found: dict[str, Any] = {"table": table}
    if named is not None:
        values = np.asarray(table[named])
        found["labels"], found["classes"] = interpret_labels(values, n, path)
    if group is not None:
        found["groups"] = np.asarray([str(value).strip() for value in table[group]])
        found["groups_from"] = GIVEN
    return found


def _names_files(path: Path) -> bool:
    """Return whether a file is a table with a column that names image files."""
    from galshift.data.readers.catalog import FILES, find_column
    from galshift.data.tables import read_table

    try:
        return find_column(read_table(path), FILES) is not None
    except DataError:
        return False


def _is(plane: dict[str, object], hdu: int | str) -> bool:
    if isinstance(hdu, int) or str(hdu).isdigit():
        return plane["hdu"] == int(hdu)
    return str(plane["name"]).casefold() == str(hdu).casefold()
