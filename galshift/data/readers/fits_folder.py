"""A folder of FITS files: flat, one sub-folder per class, several files per galaxy, or beside a catalogue."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.beside import attach, catalog_beside, catalog_named
from galshift.data.compact import Files, Galaxies, Texts, Words, all_different
from galshift.data.fits_index import below, fits_files, index_files
from galshift.data.fits_layout import Galaxy, Place, beside, galaxies_of_file
from galshift.data.fits_names import combine, say_parts
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._base import Opened, stem
from galshift.data.readers._fits_build import build
from galshift.data.readers._product import open_product
from galshift.data.readers.catalog import open_catalog
from galshift.data.roles import assigned, check_roles, said_of_file
from galshift.data.skipped import skipped
from galshift.errors import DataError

_TABLES = "it holds tables only"


@READERS.register("fits-folder")
def open_fits_folder(path: str | Path, options: ReadOptions) -> Opened:
    """Open a folder of FITS files.

    Raises
    ------
    DataError
        When it has none, or one cannot be read and ``on_error`` is ``raise``.
    """
    folder = Path(path)
    product = open_product(folder, options)
    if product is not None:
        return product
    files = fits_files(folder)
    if not files:
        raise DataError("the folder holds no FITS files", where=folder)
    return open_fits_files(folder, files, options)


def open_fits_files(folder: Path, files: Sequence[Path], options: ReadOptions) -> Opened:
    """Open FITS files below `folder` as one data set.

    Raises
    ------
    DataError
        As of :func:`open_fits_folder`.
    """
    files = files if isinstance(files, Files) else Files(files)
    described = index_files(folder, files)
    beside = None if catalog_named(options.labels) else catalog_beside(folder, files, described)
    if beside is not None and beside.hdus:
        return open_catalog(beside.path, options)
    keep, notes = _sound(folder, files, described, options)
    files_found, described_all = files, described
    if len(keep) < len(files):
        files, described = Files(files[i] for i in keep), [described[i] for i in keep]
    check_roles(described, options.roles, folder)
    planes = assigned(described, options.roles, options.hdu)
    lacking = [file for file, item in zip(files, planes) if not item]
    if lacking:
        raise DataError(f"{len(lacking)} of {len(files)} files have no HDU {options.hdu}", where=lacking[0])
    galaxies, more = _assemble(folder, files, planes, options)
    if not galaxies:
        raise DataError("no file of the folder holds a galaxy", where=folder)
    labels, classes = _folder_labels(folder, files, galaxies)
    ids = galaxies.names.array()
    dataset = build(
        folder,
        "fits-folder",
        files,
        planes,
        galaxies,
        options,
        notes=[*notes, *more],
        left_out=_left_out(files_found, described_all),
        ids=ids,
        groups=ids,
        labels=labels,
        classes=classes,
    )
    return dataset if beside is None else attach(dataset, beside)


def _sound(
    folder: Path, files: Sequence[Path], described: Sequence[Any], options: ReadOptions
) -> tuple[list[int], list[str]]:
    """Return which files can be used; broken ones stop everything, or are counted, as the user chose."""
    broken = [i for i, item in enumerate(described) if isinstance(item, str) and not item.startswith(_TABLES)]
    keep = [i for i, item in enumerate(described) if not isinstance(item, str)]
    if broken and options.on_error == "raise":
        others = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise DataError(
            f"{described[broken[0]]}{others}",
            where=files[broken[0]],
            hint="mend or remove it, or leave such files out with --on-error skip",
        )
    if not keep:
        raise DataError("none of its FITS files can be read", where=folder, hint=str(described[0]))
    notes = []
    if broken:
        notes.append(skipped([(files[i].name, described[i]) for i in broken], len(files), folder))
    return keep, notes


def _left_out(files: Sequence[Path], described: Sequence[Any]) -> tuple[str, ...]:
    """Return ``name: why`` of the files that cannot be read; those of tables were not meant to be."""
    return tuple(
        f"{file.name}: {item}"
        for file, item in zip(files, described)
        if isinstance(item, str) and not item.startswith(_TABLES)
    )


def _assemble(
    folder: Path, files: Files, planes: list[list[dict[str, Any]]], options: ReadOptions
) -> tuple[Galaxies, list[str]]:
    """Return the galaxies of a folder: one a file, or joined over the files of several bands."""
    names = Texts(stem(text) for text in files.texts)
    if not all_different(names):
        names = Texts(str(file.relative_to(folder).parent / s) for file, s in zip(files, names))
    together = any(said_of_file(file.name, options.roles) for file in files) if options.roles else False
    parts: list[tuple[str, str | None, str | None]] = []
    # That names say nothing of bands and parts is found without a list of what they say.
    if together or options.pattern is not None or say_parts(names):
        found_parts = combine(names, options.pattern)
        parts = [(name or folder.name, band, role) for name, band, role in found_parts]
        together = together or any(band is not None or role is not None for _, band, role in parts)
    if not together:
        galaxies, notes, broken = Galaxies(), [], []
        for number, (name, described) in enumerate(zip(names, planes)):
            try:
                found, said = galaxies_of_file(number, name, described, options.bands, where=files[number])
                found = list(found)
            except DataError as error:
                if options.on_error == "raise":
                    raise
                broken.append((files[number].name, error.what))
                continue
            for galaxy in found:
                galaxies.append(galaxy)
            notes += said if said != notes[-len(said) :] else []  # of many files the same is said
        left_out = [skipped(broken, len(files), folder, "files by what they hold")] if broken else []
        return galaxies, [*left_out, *_few(notes)]
    joined: dict[str, Galaxy] = {}
    extras: dict[str, list[tuple[str, str | None, Place]]] = defaultdict(list)
    notes, left_out = [], []
    for number, (name, band, by_name) in enumerate(parts):
        role = said_of_file(files[number].name, options.roles) or by_name
        if role == "ignore":
            left_out.append(files[number].name)
            continue
        if role not in (None, "image"):
            extras[name].append((role, band, _only_plane(number, planes[number], role, files[number])))
            continue
        bands = (band,) if band else options.bands
        several, said = galaxies_of_file(number, name, planes[number], bands, where=files[number])
        found = list(several)
        notes += said if len(found) > 1 or not band else []
        for one in found:
            galaxy = joined.setdefault(one.name, Galaxy(one.name, file=number))
            galaxy.science.update(one.science)
            galaxy.extra.update(one.extra)
    notes += [f"left out by their names: {', '.join(left_out[:3])}"] if left_out else []
    galaxies = [galaxy for galaxy in joined.values() if galaxy.science]
    for galaxy in galaxies:
        for role, band, place in extras.get(galaxy.name, ()):
            extra, where = {**planes[place.file][place.plane], "role": role}, files[place.file]
            for each in (band,) if band in galaxy.science else tuple(galaxy.science):
                own = galaxy.science[each]
                at = beside(each, galaxy, planes[own.file][own.plane], extra, place, where)
                galaxy.extra[role, each] = (*galaxy.extra.get((role, each), ()), at)
    lost = len(set(extras) - {galaxy.name for galaxy in galaxies})
    notes += [f"{lost} files with masks, errors or PSFs belong to no image of the folder"] if lost else []
    return Galaxies(galaxies), _few(notes)


def _only_plane(number: int, planes: list[dict[str, Any]], role: str, file: Path) -> Place:
    """Return the one image of a file that is a mask, an error or a PSF by its name."""
    fitting = [i for i, plane in enumerate(planes) if plane["role"] in (None, "image", role)]
    if len(fitting) != 1:
        names = ", ".join(str(plane["name"]) or str(plane["hdu"]) for plane in planes)
        raise DataError(
            f"by its name this file is a {role}, and it holds {len(planes)} images: {names}",
            where=file,
            hint="give all but one of them the role ignore, such as --role "
            f"{planes[-1]['name'] or planes[-1]['hdu']}=ignore",
        )
    return Place(number, fitting[0])


def _folder_labels(
    folder: Path, files: Files, galaxies: Galaxies
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return labels from sub-folders, where every galaxy lies in one of at least two."""
    tops = Words(name.split(os.sep, 1)[0] if os.sep in name else "" for name in below(folder, files))
    of_galaxy = tops.codes[np.asarray(galaxies.files)]
    used = {tops.different[code] for code in np.unique(of_galaxy)}
    if "" in used or len(used) < 2:
        return None, ()
    classes = sorted(used)
    index = {name: k for k, name in enumerate(classes)}
    number = np.asarray([index.get(top, -1) for top in tops.different], dtype=np.int64)
    return number[of_galaxy], tuple(classes)


def _few(notes: list[str]) -> list[str]:
    notes = list(dict.fromkeys(notes))
    return notes if len(notes) <= 3 else [*notes[:2], f"and the same for {len(notes) - 2} more files"]
