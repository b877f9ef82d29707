"""A folder of PNG or JPEG pictures, flat or one sub-folder per class, or one picture."""

from __future__ import annotations

import hashlib
import os
import warnings
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift.bounds import plain_file
from galshift.data.beside import attach, catalog_beside, catalog_named
from galshift.data.compact import Files, Texts, all_different
from galshift.data.cutouts import Cutouts, DataInfo
from galshift.data.fits_index import files_below
from galshift.data.open import PICTURE_SUFFIXES
from galshift.data.options import ReadOptions
from galshift.data.readers import READERS
from galshift.data.readers._base import Opened, stem
from galshift.data.resample import resample
from galshift.data.skipped import skipped
from galshift.data.units import DIMENSIONLESS
from galshift.errors import DataError
from galshift.plain import one_line

_COLORS = {1: ("grey",), 3: ("red", "green", "blue")}
# Pillow knows seventy formats, and starts Ghostscript for one of them; its own limit is 180 million pixels.
_FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 25_000_000


@READERS.register("pictures")
def open_pictures(path: str | Path, options: ReadOptions) -> Opened:
    """Open a folder of pictures; 8-bit values become 0 to 1, and files of equal content share a group.

    Raises
    ------
    DataError
        When there is none, or one cannot be read and ``on_error`` is ``raise``.
    """
    root = Path(path)
    files = Files([root]) if root.is_file() else picture_files(root)
    if not files:
        raise DataError("the folder holds no PNG or JPEG files", where=root)
    sizes, notes, kept = [], [], Texts()
    same: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    for file in files:
        try:
            size = _size(file)
            sizes.append(same.setdefault(size, size))
            kept.append(str(file))
        except DataError as error:
            if options.on_error == "raise":
                raise
            notes.append((file.name, error.what))
    kept = Files(kept)
    if not kept:
        raise DataError("none of its pictures can be read", where=root, hint=": ".join(notes[0]))
    said = [skipped(notes, len(files), root)] if notes else []
    info = _info(root, kept, sizes, said, options)
    dataset = PictureData(root, replace(info, left_out=tuple(map(": ".join, notes))), kept)
    beside = catalog_beside(root, kept) if root.is_dir() and not catalog_named(options.labels) else None
    return dataset if beside is None else attach(dataset, beside)


class PictureData(Opened):
    """Pictures in files, decoded when they are read."""

    def __init__(self, path: Path, info: DataInfo, files: Sequence[Path]) -> None:
        super().__init__(path, info)
        self.files = files
        self.same_image = info.groups

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the pictures at `indices`, in that order, all at the commonest size."""
        rows, info = self.indices(indices), self.info
        return info.cutouts(rows, np.stack([decode(self.files[row], info.shape) for row in rows]))


def picture_files(folder: Path) -> Files:
    """Return the pictures below `folder`, sorted; hidden files and folders are passed over."""
    return files_below(folder, PICTURE_SUFFIXES)


def decode(file: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Return one picture as (C, H, W) float32 in [0, 1], resized where its size is another.

    Raises
    ------
    DataError
        When it is damaged.
    """
    with _opened(file) as picture:
        deep = picture.mode.startswith("I") or picture.mode == "F"
        if not deep:
            picture = picture.convert("L" if shape[0] == 1 else "RGB")
        values = np.asarray(picture)
    values = values[..., None] if values.ndim == 2 else values
    image = np.moveaxis(values.astype(np.float32) / (65535 if deep else 255), -1, 0)
    if image.shape[0] != shape[0]:
        image = np.broadcast_to(image[:1], (shape[0], *image.shape[1:]))
    if image.shape[1:] == shape[1:]:
        return np.ascontiguousarray(image)
    side = min(image.shape[1:])
    square = resample(image, side / shape[1], shape[1], average=True)
    return np.clip(square[:, :, : shape[2]], 0, 1)


def same_content(files: Sequence[Path]) -> np.ndarray:
    """Return for each of N files the number (N,) of the first one with the same bytes."""
    by_size = defaultdict(lambda: array("q"))
    for i, file in enumerate(files):
        by_size[os.stat(file).st_size].append(i)
    home = np.arange(len(files))
    for members in by_size.values():
        first: dict[bytes, int] = {}
        for i in members if len(members) > 1 else ():
            with files[i].open("rb") as stream:
                digest = hashlib.file_digest(stream, _short_hash).digest()
            home[i] = first.setdefault(digest, i)
    return home


def _short_hash() -> Any:
    return hashlib.blake2b(digest_size=16)


def _info(
    root: Path,
    files: Sequence[Path],
    sizes: list[tuple[int, int, int]],
    notes: list[str],
    options: ReadOptions,
) -> DataInfo:
    n_bands = max(size[0] for size in sizes)
    height, width = Counter(size[1:] for size in sizes).most_common(1)[0][0]
    others = sum(size[1:] != (height, width) for size in sizes)
    if others:
        height = width = min(height, width)
        notes = [*notes, f"{others} pictures of other sizes are resized to {height} x {width}"]
    stems = Texts(map(stem, files))
    if not all_different(stems):
        stems = Texts(str(file.relative_to(root).with_suffix("")) for file in files)
    ids = stems.array()
    home = same_content(files)
    copies = int((home != np.arange(len(home))).sum())
    if copies:
        notes = [*notes, f"{copies} files are copies of others and share their group"]
    labels, classes = _folder_labels(root, files)
    bands = _COLORS[n_bands] if len(options.bands) != n_bands else options.bands
    return DataInfo(
        n=len(files),
        shape=(n_bands, height, width),
        reader="pictures",
        unit=options.unit or DIMENSIONLESS,
        pixel_scale=options.pixel_scale_arcsec,
        bands=tuple(bands),
        ids=ids,
        groups=ids[home] if copies else ids,
        labels=labels,
        classes=classes,
        notes=tuple(notes),
    )


def _folder_labels(root: Path, files: Sequence[Path]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if root.is_file():
        return None, ()
    classes = sorted({top for top in _tops(root, files) if top})
    if len(classes) < 2 or not all(_tops(root, files)):
        return None, ()
    number = {name: k for k, name in enumerate(classes)}
    labels = np.fromiter((number[top] for top in _tops(root, files)), np.int64, len(files))
    return labels, tuple(classes)


def _tops(root: Path, files: Sequence[Path]) -> Iterator[str]:
    """Yield the folder below `root` that each file lies in; empty for one that lies in `root` itself."""
    for file in files:
        top, slash, _ = str(file.relative_to(root)).partition(os.sep)
        yield top if slash else ""


def _size(file: Path) -> tuple[int, int, int]:
    with _opened(file) as picture:
        grey = picture.mode in ("1", "L", "LA", "I", "I;16", "F")
        return (1 if grey else 3, picture.height, picture.width)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open a picture of the two formats, and of a size that can be read; nothing is decoded yet.

    Raises
    ------
    DataError
        Whatever is wrong with it, also when it is decoded in the block.
    """
    from PIL import Image

    plain_file(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=_FORMATS) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise _too_large(file, f"{picture.width} x {picture.height} pixels")
                if picture.width * picture.height == 0:
                    raise DataError("the picture has no pixels", where=file)
                yield picture
    except DataError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise _too_large(file, "more pixels than Pillow decodes") from error
    except Exception as error:  # decoders let through whatever a damaged file makes them raise
        raise _unreadable(file, error) from error


def _too_large(file: Path, claim: str) -> DataError:
    return DataError(
        f"the picture is too large: {claim}, and {MOST_PIXELS // 1_000_000} million are the limit",
        where=file,
        hint="cut it to one galaxy, or leave such files out with --on-error skip",
    )


def _unreadable(file: Path, error: Exception) -> DataError:
    text = one_line(str(error).replace(str(file), ""), 200)
    if "cannot identify" in text:
        text = "it is no PNG or JPEG, or damaged from its first bytes on"
    hint = "mend or remove it, or leave such files out with --on-error skip"
    return DataError(f"the picture cannot be read: {text or type(error).__name__}", where=file, hint=hint)
