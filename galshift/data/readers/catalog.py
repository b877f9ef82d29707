"""A catalogue whose rows name image files: FITS table, ECSV, CSV, VOTable or parquet.

Columns are found by name: the file (``file``, ``filename``, ``path``, ``GAL_FILENAME``), its HDU (``hdu``,
``GAL_HDU``), pixel scale, band, id, group and class.  GalSim's RealGalaxy catalogues are of this kind.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.compact import Files, Galaxies
from galshift.data.cutouts import GIVEN
from galshift.data.fits_index import index_files
from galshift.data.fits_layout import Galaxy, Place, galaxies_of_file
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._arrays import interpret_labels
from galshift.data.readers._base import Opened
from galshift.data.readers._fits_build import build
from galshift.data.roles import assigned, check_roles
from galshift.data.skipped import skipped
from galshift.data.tables import column, read_table
from galshift.errors import DataError

FILES = ("file", "filename", "path", "gal_filename", "filepath", "fits_file", "image")
_HDUS = ("hdu", "gal_hdu", "ext", "extension")
_IDS = ("id", "ident", "object_id", "objid", "name", "source_id")
GROUPS = ("group", "galaxy", "group_id", "galaxy_id")
CLASSES = ("label", "class", "morphology", "type")
_SCALES = ("pixel_scale", "pixscale", "pxscale")


@READERS.register("catalog")
def open_catalog(path: str | Path, options: ReadOptions) -> Opened:
    """Open the images that the rows of a catalogue name, relative to the catalogue's folder.

    Raises
    ------
    DataError
        When no column names files, or a file is missing and ``on_error`` is ``raise``.
    """
    path = Path(path)
    table = read_table(path)
    name = find_column(table, FILES)
    if name is None:
        raise DataError(
            "no column of the catalogue names image files",
            where=path,
            hint=f"call it 'file' (columns: {', '.join(table.colnames[:10])})",
        )
    named = [str(value).strip() for value in table[name]]
    places = [str(path.parent / value) for value in named]
    files = Files(sorted(set(places), key=lambda text: text.replace(os.sep, "\0")))
    missing = [text for text in files.texts if not os.path.isfile(text)]
    if missing and options.on_error == "raise":
        raise DataError(
            f"{len(missing)} of {len(files)} files that the catalogue names are missing",
            where=missing[0],
            hint=f"to label the images of a folder, open the folder with --labels {path.name}; "
            "--on-error skip leaves missing files out",
        )
    if missing:
        gone = set(missing)
        files = Files(text for text in files.texts if text not in gone)
    if not files:
        raise DataError("none of the files that the catalogue names is there", where=path)
    planes, broken = _planes(path, files, options)
    number = {text: i for i, text in enumerate(files.texts)}
    galaxies, rows = _galaxies(path, table, named, [number.get(place) for place in places], planes)
    table = table[rows]
    return build(
        path,
        "catalog",
        files,
        planes,
        galaxies,
        options,
        notes=_notes(path, missing, broken, len(files) + len(missing)),
        table=table,
        left_out=tuple(map(": ".join, _reasons(missing, broken))),
        **_details(table, galaxies, path),
    )


def find_column(table: Any, names: tuple[str, ...]) -> str | None:
    """Return the first column with one of these names, whatever its capitals."""
    folded = {name.casefold(): name for name in reversed(table.colnames)}
    return next((folded[name] for name in names if name in folded), None)


def _notes(path: Path, missing: list[str], broken: list[tuple[str, str]], n: int) -> list[str]:
    """Say which of the files that a catalogue names are left out."""
    reasons = _reasons(missing, broken)
    return [skipped(reasons, n, path)] if reasons else []


def _reasons(missing: list[str], broken: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*((os.path.basename(file), "there is no such file") for file in missing), *broken]


def _planes(
    path: Path, files: Files, options: ReadOptions
) -> tuple[list[list[dict[str, Any]]], list[tuple[str, str]]]:
    """Return what each file holds, nothing of those that cannot be read, and why they cannot."""
    described, broken = index_files(path.parent, files), []
    check_roles([found for found in described if not isinstance(found, str)], options.roles, path)
    for i, found in enumerate(described):
        if isinstance(found, str):
            if options.on_error == "raise":
                raise DataError(found, where=files[i])
            broken.append((files[i].name, found))
    none: list[dict[str, Any]] = []
    there = [none if isinstance(found, str) else found for found in described]
    return assigned(there, options.roles, None), broken


def _galaxies(
    path: Path, table: Any, named: list[str], files: list[int | None], planes: list[list[dict[str, Any]]]
) -> tuple[Galaxies, list[int]]:
    hdu, ident, band = (find_column(table, names) for names in (_HDUS, _IDS, ("band", "filter")))
    galaxies, rows = Galaxies(), []
    for row, value in enumerate(named):
        file = files[row]
        if file is None or not planes[file]:
            continue
        if hdu is None and len(planes[file]) > 1:
            # The row names a file alone: what its extensions are decides which of them is the image.
            parts, _ = galaxies_of_file(file, Path(value).stem, planes[file], (), where=path.parent / value)
            found = list(parts)
            if len(found) != 1:
                raise DataError(
                    f"row {row} names a file with {len(found)} images",
                    where=path.parent / value,
                    hint="a column 'hdu' of the catalogue says which",
                )
            galaxies.append(
                replace(found[0], name=str(table[ident][row]).strip() if ident else found[0].name)
            )
            rows.append(row)
            continue
        wanted = int(table[hdu][row]) if hdu else planes[file][0]["hdu"]
        place = next((i for i, plane in enumerate(planes[file]) if plane["hdu"] == wanted), None)
        if place is None:
            raise DataError(f"row {row} names HDU {wanted}, which has no image", where=path.parent / value)
        plane = planes[file][place]
        name = str(table[ident][row]).strip() if ident else f"{Path(value).stem}[{wanted}]"
        if len(plane["shape"]) > 2 and min(plane["shape"][0], plane["shape"][-1]) > 1:
            found, _ = galaxies_of_file(file, name, [plane], ())
            for galaxy in islice(found, 1):
                galaxy.science = {b: p._replace(plane=place) for b, p in galaxy.science.items()}
                galaxies.append(galaxy)
        else:
            word = str(table[band][row]).strip() if band else plane["band"] or "band0"
            index = (0,) * (len(plane["shape"]) - 2) + (None, None) if len(plane["shape"]) > 2 else ()
            galaxies.append(Galaxy(name, {word: Place(file, place, index)}, file=file))
        rows.append(row)
    return galaxies, rows


def _details(table: Any, galaxies: Galaxies, path: Path) -> dict[str, Any]:
    details: dict[str, Any] = {}
    names = list(galaxies.names)
    if len(set(names)) < len(names):
        names = [f"{name}#{i}" for i, name in enumerate(names)]
    details["ids"] = np.asarray(names)
    group, klass, scale = (find_column(table, words) for words in (GROUPS, CLASSES, _SCALES))
    details["groups"] = (
        np.asarray([str(value) for value in column(table, group, path)]) if group else details["ids"]
    )
    if group:
        details["groups_from"] = GIVEN
    if klass:
        labels, classes = interpret_labels(np.asarray(table[klass]), len(table), path)
        details.update(labels=labels, classes=classes)
    if scale:
        values = np.asarray(table[scale], dtype=float)
        details["pixel_scale"] = float(values[0]) if np.allclose(values, values[0]) else values
    return details
