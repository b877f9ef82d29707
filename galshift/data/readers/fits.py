"""One FITS file: an image, a cube of bands or of galaxies, or many extensions."""

from __future__ import annotations

from pathlib import Path

from galshift.data.fits_file import describe
from galshift.data.fits_layout import galaxies_of_file
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._base import Opened, stem
from galshift.data.readers._fits_data import build
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
    return build(path, "fits", [path], [planes], galaxies, options, notes=notes)


def _names_files(path: Path) -> bool:
    """Return whether a file is a table with a column that names image files."""
    from galshift.data.labels import read_table
    from galshift.data.readers.catalog import FILES, find_column

    try:
        return find_column(read_table(path), FILES) is not None
    except DataError:
        return False


def _is(plane: dict[str, object], hdu: int | str) -> bool:
    if isinstance(hdu, int) or str(hdu).isdigit():
        return plane["hdu"] == int(hdu)
    return str(plane["name"]).casefold() == str(hdu).casefold()
