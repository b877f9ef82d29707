"""One FITS file: an image, a cube of bands or of galaxies, or many extensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.beside import catalog_named
from galshift.data.compact import Galaxies
from galshift.data.cutouts import GIVEN
from galshift.data.fits_file import describe, open_fits
from galshift.data.fits_layout import galaxies_of_file
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._arrays import interpret_labels
from galshift.data.readers._base import Opened, stem
from galshift.data.readers._fits_build import build
from galshift.data.readers._fits_ids import names_in, rows_by_name
from galshift.data.readers.catalog import CLASSES, GROUPS, find_column
from galshift.data.roles import assign, check_roles, words_of
from galshift.data.tables import read_table
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
    check_roles([planes], options.roles, path)
    chosen = assign(planes, options.roles, options.hdu)
    if not chosen:
        have = ", ".join(f"{plane['hdu']} {plane['name']}".strip() for plane in planes)
        raise DataError(f"it has no image in HDU {options.hdu}", where=path, hint=f"images: {have}")
    if "psf" in words_of(stem(path)):
        chosen = [{**plane, "file_of_psfs": True} for plane in chosen]
    ids = _names(path, options)
    galaxies, notes = galaxies_of_file(0, stem(path), chosen, options.bands, ids=ids, where=path)
    galaxies = Galaxies(galaxies)
    rows = _rows(path, galaxies) if len(galaxies) > 1 else {}
    return build(path, "fits", [path], [chosen], galaxies, options, notes=notes, **rows)


def _names(path: Path, options: ReadOptions) -> frozenset[str]:
    """Return the names in the user's catalogue, or in the tables of the file: extensions may be called so."""
    if catalog_named(options.labels):
        return names_in(read_table(Path(str(options.labels))), options.id_column)
    found: frozenset[str] = frozenset()
    for table in _tables(path):
        found |= names_in(table, options.id_column)
    return found


def _tables(path: Path) -> list[Any]:
    from astropy.io import fits
    from astropy.table import Table

    with open_fits(path) as hdus:
        return [
            Table(hdu.data)
            for hdu in hdus
            if isinstance(hdu, fits.BinTableHDU) and not hdu.is_image and hdu.columns
        ]


def _rows(path: Path, galaxies: Galaxies) -> dict[str, Any]:
    """Return the table in the same file that has one row a galaxy, and the labels in it.

    Where a column of it names the galaxies, its rows are put in their order.  The class is its column called
    ``label``, ``class``, ..., or its only column.
    """
    n = len(galaxies)
    fitting = [table for table in _tables(path) if len(table) == n]
    if len(fitting) != 1:
        return {}
    table = fitting[0]
    place = rows_by_name(table, list(galaxies.names))
    table = table if place is None else table[place]
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
    from galshift.data.readers.catalog import FILES

    try:
        return find_column(read_table(path), FILES) is not None
    except DataError:
        return False
