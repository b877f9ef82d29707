"""Many files as one data set: a folder of HDF5 or Parquet files, or a pattern such as ``'sky/part-*.h5'``.

Files are taken in the order of their names, and every one must have the schema of the others.  Pixels are
read one file at a time.  FITS files of one galaxy each are opened as a folder of them is.
"""

from __future__ import annotations

import copy
import os
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import GIVEN, NUMBERED, Cutouts, DataInfo
from galshift.data.open import FITS_SUFFIXES, find_reader, folder_shards
from galshift.data.options import ReadOptions
from galshift.data.paths import is_pattern, matching
from galshift.data.readers import READERS
from galshift.data.readers._base import Opened, stem
from galshift.data.readers.fits_folder import open_fits_files
from galshift.data.skipped import skipped
from galshift.errors import DataError, GalshiftError
from galshift.plain import one_line

_OPEN_FILES = 4


@READERS.register("shards")
def open_shards(path: str | Path, options: ReadOptions) -> Opened:
    """Open every file as its own kind of reader does, and return them end to end.

    Raises
    ------
    DataError
        When a file cannot be opened, or differs from the others in what every image has; it is named.
    """
    text = str(path)
    files = matching(text) if is_pattern(text) else folder_shards(Path(text))
    if is_pattern(text) and _stamps(files):
        folder = Path(os.path.commonpath([file.parent for file in files]))
        stamps = open_fits_files(folder, files, options)
        stamps.path, stamps.name = Path(text), _name(text)
        return stamps
    parts, broken = _parts(files, options)
    if not parts:
        raise DataError("none of its files can be read", where=text, hint=": ".join(broken[0]))
    whole = parts[0] if len(parts) == 1 else ShardedData(Path(text), parts, _name(text))
    if broken:
        notes = (skipped(broken, len(files), Path(text)), *whole.info.notes)
        whole.info = replace(whole.info, notes=notes, left_out=tuple(map(": ".join, broken)))
    return whole


def _parts(files: Sequence[Path], options: ReadOptions) -> tuple[list[Opened], list[tuple[str, str]]]:
    """Open every file; with ``on_error="skip"`` return what is wrong with those that cannot be opened."""
    parts, broken = [], []
    for file in files:
        try:
            parts.append(READERS.get(find_reader(file))(file, options))
        except DataError as error:
            if options.on_error == "raise":
                raise
            broken.append((file.name, error.what))
        except Exception as error:  # whatever one file makes a library raise is about that file
            if options.on_error == "raise":
                raise
            broken.append((file.name, one_line(error) or type(error).__name__))
    return parts, broken


def _stamps(files: Sequence[Path]) -> bool:
    """Return whether these are FITS files, each of one galaxy or of one band of it."""
    if not all(file.name.lower().endswith(FITS_SUFFIXES) for file in files) or len(files) < 2:
        return False
    try:
        return len(READERS.get("fits")(files[0], ReadOptions())) == 1
    except GalshiftError:  # whoever opens it next says what is wrong
        return True


def _name(text: str) -> str:
    """Return what a pattern is called in reports: its own fixed words, or else its folder's."""
    words = re.sub(r"[\W_]+$", "", re.sub(r"[*?\[].*", "", stem(text)))
    return stem(text) if not is_pattern(text) else words or stem(Path(text).resolve().parent)


class ShardedData(Opened):
    """Data sets end to end.

    Parameters
    ----------
    path : Path
    parts : sequence of Opened
        Never read from themselves, so that no more than a few files are open at a time.
    name : str
    """

    def __init__(self, path: Path, parts: Sequence[Opened], name: str) -> None:
        _check(parts)
        super().__init__(path, _joined_info(parts), name)
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self._reading: OrderedDict[int, Opened] = OrderedDict()

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, read one file after the other."""
        rows, info = self.indices(indices), self.info
        owner = np.searchsorted(self._ends, rows, side="right")
        numbers = np.unique(owner).tolist()
        begins = [0, *self._ends.tolist()]
        read = [self._part(number).read(rows[owner == number] - begins[number]) for number in numbers]
        places = np.argsort(np.concatenate([np.flatnonzero(owner == number) for number in numbers]))
        psf, psf_scale = _psf(read, self.path)
        joined = Cutouts(
            images=np.concatenate([one.images for one in read]),
            mask=_stacked(read, "mask"),
            ivar=_stacked(read, "ivar"),
            psf=psf,
            psf_pixel_scale=psf_scale,
            bands=info.bands,
        ).take(places)
        pixels = {name: getattr(joined, name) for name in ("mask", "ivar", "psf", "psf_pixel_scale")}
        return info.cutouts(rows, joined.images, **pixels)

    def _part(self, number: int) -> Opened:
        """Return a part to read from; of HDF5 files only the last few stay open."""
        part = self._parts[number]
        if part.info.reader != "hdf5":
            return part
        if number not in self._reading:
            self._reading[number] = copy.deepcopy(part, {id(part.info): part.info})
        self._reading.move_to_end(number)
        while len(self._reading) > _OPEN_FILES:
            self._reading.popitem(last=False)
        return self._reading[number]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reading": OrderedDict()}


def _check(parts: Sequence[Opened]) -> None:
    """Refuse the file that differs from most in what must be one for all images."""
    facts = {
        "images of shape": lambda info: info.shape,
        "bands": lambda info: info.bands,
        "the unit": lambda info: info.unit,
        "a pixel scale": lambda info: info.pixel_scale is not None,
        "labels": lambda info: _kind_of_labels(info.labels),
        "the survey": lambda info: info.survey,
        "the columns": lambda info: None if info.table is None else tuple(sorted(info.table.colnames)),
    }
    for name, fact in facts.items():
        found = [fact(part.info) for part in parts]
        usual, _ = Counter(found).most_common(1)[0]
        odd = next((i for i, value in enumerate(found) if value != usual), None)
        if odd is not None:
            raise DataError(
                f"this file is unlike the others of its data set in {name}: {_shown(found[odd])}, and they "
                f"have {_shown(usual)}",
                where=parts[odd].path,
                hint="leave it out, such as by a pattern that does not match it",
            )
    votes = [part.info.classes for part in parts if np.ndim(part.info.labels) == 2]
    if len(set(votes)) > 1:
        raise DataError("its files name the columns of their labels differently", where=parts[0].path)


def _kind_of_labels(labels: np.ndarray | None) -> tuple[str, ...] | None:
    if labels is None:
        return None
    return ("classes" if labels.dtype.kind in "iu" else "numbers", *(str(n) for n in labels.shape[1:]))


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "one", False: "none"}[value]
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _joined_info(parts: Sequence[Opened]) -> DataInfo:
    infos = [part.info for part in parts]
    first = infos[0]
    lengths = [len(part) for part in parts]
    ids, groups, groups_from, notes = _names(parts)
    labels, classes = _labels(infos)
    tables = [info.table for info in infos]
    return replace(
        first,
        n=sum(lengths),
        ids=ids,
        groups=groups,
        groups_from=groups_from,
        labels=labels,
        classes=classes,
        pixel_scale=_one_or_each([info.pixel_scale for info in infos], lengths),
        psf_fwhm=_one_or_each([info.psf_fwhm for info in infos], lengths),
        has_mask=any(info.has_mask for info in infos),
        has_ivar=any(info.has_ivar for info in infos),
        has_psf=all(info.has_psf for info in infos),
        ragged=any(info.ragged for info in infos),
        table=None if tables[0] is None else _vstack(tables),
        notes=tuple(dict.fromkeys([*notes, *(note for info in infos for note in info.notes)])),
    )


def _names(parts: Sequence[Opened]) -> tuple[np.ndarray, np.ndarray, str, list[str]]:
    """Return ids, groups, where groups come from, and a note; names that files share get the file's name."""
    ids = np.concatenate([part.info.ids for part in parts])
    groups = np.concatenate([part.info.groups for part in parts])
    sources = {part.info.groups_from for part in parts}
    repeated, notes = len(set(ids.tolist())) < len(ids), []
    files = np.concatenate([np.full(len(part), stem(part.path)) for part in parts])
    whose = np.char.add(np.char.add(files, "#"), ids)
    # Names that only count the rows of their own file are not those of the next file's galaxies.
    if sources != {GIVEN} and (repeated or len(sources) > 1):
        same = groups == ids
        groups = np.where(same, whose, np.char.add(np.char.add(files, "#"), groups))
        sources = {NUMBERED}
    if repeated:
        ids = whose
        notes = ["files share names of images, which therefore begin with the file's name"]
    return ids, groups, sources.pop(), notes


def _labels(infos: Sequence[DataInfo]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return all labels, as numbers of the classes that any file has."""
    first = infos[0]
    if first.labels is None:
        return None, first.classes
    if len({info.classes for info in infos}) == 1:
        return np.concatenate([info.labels for info in infos]), first.classes
    classes = sorted({name for info in infos for name in info.classes}, key=_by_value)
    number = {name: k for k, name in enumerate(classes)}
    moved = []
    for info in infos:
        table = np.array([*(number[name] for name in info.classes), -1])
        moved.append(table[np.where(info.labels < 0, -1, info.labels)])
    return np.concatenate(moved).astype(first.labels.dtype), tuple(classes)


def _by_value(name: str) -> tuple[bool, float, str]:
    """Sort names of classes that are numbers by their value, before words."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def _one_or_each(values: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Return the one value that all files have, or one value an image; None where a file has none."""
    if any(value is None for value in values):
        return None
    if all(np.ndim(value) == 0 for value in values) and len({float(value) for value in values}) == 1:
        return values[0]
    width = max(np.ndim(value) for value in values)
    each = []
    for value, n in zip(values, lengths):
        array = np.asarray(value, dtype=np.float64)
        array = np.full(n, float(array)) if array.ndim == 0 else array
        each.append(array[:, None] if array.ndim < width else array)
    columns = max(array.shape[-1] if array.ndim == 2 else 1 for array in each)
    return np.concatenate([np.broadcast_to(a, (len(a), columns)) if width == 2 else a for a in each])


def _vstack(tables: Sequence[Any]) -> Any:
    from astropy.table import vstack

    return vstack(list(tables), metadata_conflicts="silent")


def _stacked(read: Sequence[Cutouts], name: str) -> np.ndarray | None:
    """Return the masks or inverse variances of all, where any file has them: good, or unknown, elsewhere."""
    values = [getattr(one, name) for one in read]
    if all(value is None for value in values):
        return None
    full = any(value is not None and value.ndim == 4 for value in values)
    kind = bool if name == "mask" else np.float32
    stacked = []
    for one, value in zip(read, values):
        shape = one.images.shape if full else (len(one), *one.images.shape[2:])
        if value is None:
            value = np.zeros(shape, dtype=kind)
        stacked.append(np.broadcast_to(value if value.ndim == len(shape) else value[:, None], shape))
    return np.concatenate(stacked)


def _psf(read: Sequence[Cutouts], path: object) -> tuple[np.ndarray | None, float | None]:
    """Return the one PSF of all, or one an image; None where a file has none."""
    kernels, scales = [one.psf for one in read], {one.psf_pixel_scale for one in read}
    if any(kernel is None for kernel in kernels):
        return None, None
    if len({kernel.shape[-2:] for kernel in kernels}) > 1 or len(scales) > 1:
        raise DataError("its files have PSFs of several sizes", where=path, hint="give one with --psf")
    first = kernels[0]
    if first.ndim < 4 and all(np.array_equal(first, kernel) for kernel in kernels):
        return first, scales.pop()
    n_bands = read[0].images.shape[1]
    each = [
        np.broadcast_to(kernel if kernel.ndim > 2 else kernel[None], (len(one), n_bands, *kernel.shape[-2:]))
        for one, kernel in zip(read, kernels)
    ]
    return np.concatenate(each), scales.pop()
