"""Open anything that holds galaxy images: find its reader, join labels, return a data set."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from galshift.bounds import plain_file
from galshift.data.blank import with_blank
from galshift.data.card import Resolved, resolve
from galshift.data.cutouts import DataInfo, Dataset
from galshift.data.declared import check_declared, told_by_files
from galshift.data.declared_psf import with_psf
from galshift.data.mask_bits import DECLARED
from galshift.data.names import check_names
from galshift.data.options import ReadOptions, parse_classes_map
from galshift.data.paths import is_pattern, is_there, missing, split_pair
from galshift.data.readers import READERS
from galshift.data.select_bands import with_bands
from galshift.data.skipped import readable
from galshift.data.units import unit_name
from galshift.data.weights import with_weights
from galshift.errors import DataError, GalshiftError, ResourceError
from galshift.plain import one_line
from galshift.timing import timed

# What the machine could not do is not the file's fault.
_MACHINE = (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.ETIMEDOUT)

__all__ = ["ReadOptions", "find_reader", "open_dataset", "parse_classes_map"]


@timed("reading")
def open_dataset(path: str | Path, options: ReadOptions | None = None) -> Dataset:
    """Open a file or folder of galaxy images; pixels are read later, in pieces.

    Parameters
    ----------
    path : path-like
        An HDF5 file, a folder of FITS or pictures, a FITS cube or multi-extension file, ``.npy``/``.npz``, or
        a pair ``x.npy:y.npy``; a folder or pattern (``'sky/part-*.h5'``) of HDF5, FITS or Parquet files; or a
        data card (:mod:`galshift.data.card`) that names one of these.
    options : ReadOptions, optional
        What the files, or the card, do not say.

    Raises
    ------
    DataError
        When there is nothing there, no reader knows it, or it is broken; the message says which.
    """
    reopen = partial(open_dataset, path, options)
    found = resolve(path, options)
    path, options = found.path, found.options
    told = told_by_files(options, partial(_opened, path))
    dataset = _opened(path, options)
    overridden = check_declared(dataset, options, partial(_opened, path), told)
    notes = tuple(
        f"{name}: declared against the files, which say {text}" for name, text in overridden.items()
    )
    dataset.info = replace(
        dataset.info,
        notes=(*dataset.info.notes, *notes),
        origins={**dataset.info.origins, **_said(found, dataset.info)},
    )
    dataset.name = found.name or dataset.name
    dataset.reopen = reopen  # another process opens its own
    return dataset


def _said(found: Resolved, info: DataInfo) -> dict[str, str]:
    """Return what is declared, as ``DataInfo.origins``: by the data card, or by an option beside it."""
    fields = {"unit": ("zero_point", "unit"), "pixel_scale": ("pixel_scale_arcsec",)}
    fields |= {"bands": ("bands",), "psf": ("psf",), "noise": ("weights",)}
    said = {}
    if found.options.mask_bits is not None:
        mask = (info.origins.get("mask") or "").replace(DECLARED, f"bits by {_whose(found, 'mask_bits')}")
        said["mask"] = mask
    if found.options.blank is not None:
        own = said.get("mask") or info.origins.get("mask")
        values = f"pixels of {found.options.blank:g} by {_whose(found, 'blank')}"
        said["mask"] = f"{own}; {values}" if own else values
    for name, keys in fields.items():
        key = next((key for key in keys if getattr(found.options, key)), None)
        if key is not None:
            said[name] = _whose(found, key)
    return said


def _whose(found: Resolved, key: str) -> str:
    """Return who says the value of a reading option: the data card, or the option beside it."""
    by_card = found.card is not None and getattr(found.said, key) == getattr(found.options, key)
    option = f"--{key.removesuffix('_arcsec').replace('_', '-')}"
    return f"data card {found.card.name}" if by_card else option


def _opened(path: str, options: ReadOptions) -> Dataset:
    if options.unit is not None and unit_name(options.unit) is None:
        raise DataError(
            f"'{options.unit}' is no unit that astropy knows",
            where="--unit",
            hint="such as nJy, nanomaggy, MJy/sr, mag/arcsec2, electron or dimensionless",
        )
    name = options.reader or find_reader(path)
    first = Path(split_pair(path)[0])
    if not is_there(first):
        raise missing(first)
    if first.exists() and not first.is_dir():
        plain_file(first)
    try:
        dataset = READERS.get(name)(path, options)
        if options.on_error == "skip":
            dataset = readable(dataset)
    except GalshiftError:
        raise
    except MemoryError as error:
        raise ResourceError(
            "its arrays do not fit in memory",
            where=path,
            hint="an .npy or HDF5 file is read piece by piece; an .npz is not",
        ) from error
    except OSError as error:
        if error.errno in _MACHINE:
            raise
        raise _no_sense(name, path, error) from error
    except Exception as error:  # a reader goes through libraries, each with exceptions of its own
        raise _no_sense(name, path, error) from error
    dataset = with_blank(with_weights(dataset, options), options.blank)
    return _declared(dataset, path, options)


def _no_sense(name: str, path: str, error: Exception) -> DataError:
    return DataError(
        f"the {name} reader cannot make sense of this: {one_line(error, 200) or type(error).__name__}",
        where=path,
        hint="galshift inspect shows what is in a file; --hdu, --bands and --unit help a reader",
    )


def _declared(dataset: Dataset, path: str, options: ReadOptions) -> Dataset:
    """Return `dataset` with what the user declares of it: zero point, labels, groups, bands, PSF."""
    if options.zero_point is not None and dataset.info.reader in ("numpy", "hdf5", "pictures"):
        from galshift.data.calibrate import calibrated

        dataset = calibrated(dataset, options.zero_point)
    if options.label_kind != "class":
        from galshift.data.numeric_labels import with_numbers

        dataset = with_numbers(dataset, options)
    elif (
        options.labels is not None
        or options.label_column
        or options.vote_columns
        or options.classes_map
        or options.label_bins
    ):
        from galshift.data.labels import with_labels

        dataset = with_labels(dataset, options)
    elif options.where is not None:
        from galshift.data.join import selected

        dataset = selected(dataset, options)
    if options.group_column is not None and not _grouped_by_labels(options):
        from galshift.data.grouping import regrouped

        dataset = regrouped(dataset, options)
    elif options.common_ids:
        from galshift.data.grouping import by_ids

        dataset = by_ids(dataset)
    if options.match_radius_arcsec is not None:
        dataset.info = replace(dataset.info, match_radius_arcsec=options.match_radius_arcsec)
    check_names(dataset.info, path)
    _check_labels(dataset)
    if options.mask_bits is not None and DECLARED not in dataset.info.origins.get("mask", ""):
        raise DataError(
            f"bits {options.mask_bits} of a mask are declared, and the files have no mask with bits",
            where=path,
            hint="leave out --mask-bits, or name the mask of FITS files by --role NAME=mask",
        )
    return with_psf(with_bands(dataset, options.bands), options)


def _grouped_by_labels(options: ReadOptions) -> bool:
    """Return whether joining the labels has grouped the images: by a column of the labels' catalogue."""
    named = options.labels is not None and os.path.exists(options.labels)
    by_class = options.label_kind == "class" and not options.vote_columns
    return named and by_class and not str(options.group_column).startswith("sky")


def _check_labels(dataset: Dataset) -> None:
    """Refuse class numbers that have no name: they would be learnt as classes of their own."""
    import numpy as np

    labels, classes = dataset.info.labels, dataset.info.classes
    if labels is None or not classes or np.ndim(labels) != 1 or not np.issubdtype(labels.dtype, np.integer):
        return
    wrong = np.flatnonzero(labels >= len(classes))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"image {dataset.info.ids[row]} (row {row}) has the label {labels[row]}, and there are "
            f"{len(classes)} classes: {', '.join(classes)}",
            where=dataset.path,
            hint="labels count from 0; -1 says that an image has none",
        )


def find_reader(path: str | Path) -> str:
    """Return the name of the reader for `path`, by its kind, its first bytes and its name.

    Raises
    ------
    DataError
        When `path` is missing, empty or of no known kind.
    """
    first, *second = map(Path, split_pair(path))
    for part in (first, *second):
        if not is_there(part):
            raise missing(part)
    if second:
        return "numpy"
    if is_pattern(first):
        return "shards"
    if first.is_dir():
        return _folder_reader(first)
    plain_file(first)
    with first.open("rb") as stream:
        head = stream.read(16)
    kind = _file_reader(head, first.name.lower()) or _plugin_reader(first.name.lower())
    if kind is None:
        raise DataError(
            "this is not a kind of file that galshift can open",
            where=first,
            hint="it opens HDF5, FITS, .npy/.npz and folders of FITS, PNG or JPEG; --reader names one",
        )
    return kind


FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.bz2", ".fits.fz", ".fz")

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

TABLE_SUFFIXES = (".csv", ".ecsv", ".vot", ".xml", ".parquet")


def _file_reader(head: bytes, name: str) -> str | None:
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"\x93NUMPY") or (head.startswith(b"PK") and name.endswith(".npz")):
        return "numpy"
    if head.startswith((b"SIMPLE  =", b"XTENSION")) or name.endswith(FITS_SUFFIXES):
        return "fits"
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "pictures"
    if name.endswith(TABLE_SUFFIXES):
        return "catalog"
    if name.endswith((".npy", ".npz")):
        return "numpy"
    return "hdf5" if name.endswith((".h5", ".hdf5", ".hdf")) else None


def _plugin_reader(name: str) -> str | None:
    """Return the reader of another package that opens files called like this."""
    others = [reader for reader in READERS.available() if reader in READERS.plugins()]
    suffixes = {reader: tuple(getattr(READERS.get(reader), "suffixes", ())) for reader in others}
    return next((reader for reader in others if suffixes[reader] and name.endswith(suffixes[reader])), None)


def _folder_reader(folder: Path) -> str:
    try:
        counts = {"fits": 0, "pictures": 0}
        for _, folders, files in os.walk(folder, followlinks=False):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                lowered = "." if name.startswith(".") else name.lower()
                counts["fits"] += lowered.endswith(FITS_SUFFIXES)
                counts["pictures"] += lowered.endswith(PICTURE_SUFFIXES)
    except OSError as error:
        raise DataError(f"the folder cannot be listed: {one_line(error)}", where=folder) from error
    if not any(counts.values()):
        if folder_shards(folder):
            return "shards"
        raise DataError(
            "the folder holds no FITS, PNG or JPEG files",
            where=folder,
            hint="give the folder with the images, an HDF5 file, or a .npy/.npz",
        )
    if counts["fits"] < counts["pictures"]:
        return "pictures"
    return "shards" if _of_several(folder) else "fits-folder"


def _of_several(folder: Path) -> bool:
    """Return whether the FITS files of a folder are data sets: galaxies with a table of a row for each."""
    names = _names_of_kind(folder, FITS_SUFFIXES)
    if len(names) < 2:
        # Beside files of two other kinds it is not clear what is meant.
        return bool(not names and folder_shards(folder) is None)
    try:
        info = READERS.get("fits")(folder / min(names), ReadOptions()).info
    except GalshiftError:
        return False
    return info.n > 1 and info.table is not None


def folder_shards(folder: Path) -> list[Path]:
    """Return the FITS files of a folder, or else its HDF5 or Parquet files, by name; none of folders below.

    Raises
    ------
    DataError
        When it holds both of the latter.
    """
    kinds = (FITS_SUFFIXES, (".h5", ".hdf5", ".hdf"), (".parquet",))
    fits, hdf5, parquet = ([folder / name for name in sorted(_names_of_kind(folder, kind))] for kind in kinds)
    if hdf5 and parquet and not fits:
        raise DataError(
            "the folder holds HDF5 and Parquet files",
            where=folder,
            hint=f"say which by a pattern, such as '{folder}/*{hdf5[0].suffix}'",
        )
    return fits or hdf5 or parquet


def _names_of_kind(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Return the names of the files in a folder that end so; hidden ones are passed over."""
    with os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if not entry.name.startswith(".")
            and entry.name.lower().endswith(suffixes)
            and (folder / entry.name).is_file()
        ]
