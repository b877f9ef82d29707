"""A catalogue whose rows name image files: FITS table, ECSV, CSV, VOTable or parquet.

Columns are found by name: the file (``file``, ``filename``, ``path``, ``GAL_FILENAME``), its HDU (``hdu``,
``GAL_HDU``), pixel scale, band, id, group and class.  GalSim's RealGalaxy catalogues are of this kind.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.compact import Files, Galaxies, Texts, all_different, in_order
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
from galshift.data.tables import column, read_table, shared, texts_of
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
    files, numbers = _files(path, table[name])
    missing = [text for text in files.texts if not os.path.isfile(text)]
    if missing and options.on_error == "raise":
        raise DataError(
            f"{len(missing)} of {len(files)} files that the catalogue names are missing",
            where=missing[0],
            hint=f"to label the images of a folder, open the folder with --labels {path.name}; "
            "--on-error skip leaves missing files out",
        )
    if missing:
        files, numbers = _without(files, numbers, set(missing))
    if not files:
        raise DataError("none of the files that the catalogue names is there", where=path)
    planes, broken = _planes(path, files, options)
    galaxies, rows = _galaxies(path, table, name, numbers, planes)
    if len(rows) < len(table):
        table = table[np.frombuffer(rows, dtype=np.int64)]
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


def _files(path: Path, named: Any) -> tuple[Files, array]:
    """Return the files that a column names, sorted, each once, and the number of the file in each row."""
    places = Texts(str(path.parent / str(value).strip()) for value in named)
    different, numbers = Texts(), array("q", bytes(8 * len(places)))
    last = None
    for row in in_order(places):
        text = places[row]
        if text != last:
            different.append(text)
            last = text
        numbers[row] = len(different) - 1
    return Files(different), numbers


def _without(files: Files, numbers: array, gone: set[str]) -> tuple[Files, array]:
    """Return the files that are not gone, and the number of the file in each row, -1 where it is."""
    left, anew = Texts(), []
    for text in files.texts:
        anew.append(-1 if text in gone else len(left))
        if text not in gone:
            left.append(text)
    return Files(left), array("q", (anew[number] for number in numbers))


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
    path: Path, table: Any, name: str, numbers: array, planes: list[list[dict[str, Any]]]
) -> tuple[Galaxies, array]:
    """Return a galaxy for each row whose file can be used, and those rows; `name` is the files' column."""
    columns = (find_column(table, names) for names in (_HDUS, _IDS, ("band", "filter")))
    hdus, idents, words = (None if each is None else table[each] for each in columns)
    galaxies, rows = Galaxies(), array("q")
    for row, value in enumerate(table[name]):
        file, value = numbers[row], str(value).strip()
        if file < 0 or not planes[file]:
            continue
        rows.append(row)
        ident = None if idents is None else str(idents[row]).strip()
        if hdus is None and len(planes[file]) > 1:
            galaxies.append(_one_of(file, row, ident, planes[file], path.parent / value))
            continue
        wanted = planes[file][0]["hdu"] if hdus is None else int(hdus[row])
        place = next((i for i, plane in enumerate(planes[file]) if plane["hdu"] == wanted), None)
        if place is None:
            raise DataError(f"row {row} names HDU {wanted}, which has no image", where=path.parent / value)
        plane = planes[file][place]
        called = f"{Path(value).stem}[{wanted}]" if ident is None else ident
        if len(plane["shape"]) > 2 and min(plane["shape"][0], plane["shape"][-1]) > 1:
            found, _ = galaxies_of_file(file, called, [plane], ())
            for galaxy in islice(found, 1):
                galaxy.science = {b: p._replace(plane=place) for b, p in galaxy.science.items()}
                galaxies.append(galaxy)
        else:
            word = plane["band"] or "band0" if words is None else str(words[row]).strip()
            index = (0,) * (len(plane["shape"]) - 2) + (None, None) if len(plane["shape"]) > 2 else ()
            galaxies.append(Galaxy(called, {word: Place(file, place, index)}, file=file))
    return galaxies, rows


def _one_of(file: int, row: int, ident: str | None, planes: list[dict[str, Any]], where: Path) -> Galaxy:
    """Return the galaxy of a row that names a file of several extensions: what they are says which it is."""
    parts, _ = galaxies_of_file(file, where.stem, planes, (), where=where)
    found = list(parts)
    if len(found) != 1:
        raise DataError(
            f"row {row} names a file with {len(found)} images",
            where=where,
            hint="a column 'hdu' of the catalogue says which",
        )
    return found[0] if ident is None else replace(found[0], name=ident)


def _details(table: Any, galaxies: Galaxies, path: Path) -> dict[str, Any]:
    details: dict[str, Any] = {}
    names = galaxies.names
    if not all_different(names):
        names = Texts(f"{name}#{i}" for i, name in enumerate(names))
    ident = find_column(table, _IDS)
    details["ids"] = shared(names.array(), table[ident] if ident else None)
    group, klass, scale = (find_column(table, words) for words in (GROUPS, CLASSES, _SCALES))
    details["groups"] = (
        shared(texts_of(column(table, group, path)), details["ids"]) if group else details["ids"]
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
