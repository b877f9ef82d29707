"""Write images as a published data set lies on disk, with the data card that says what its files do not."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.card import write_card
from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.options import ReadOptions
from galshift.data.public import Layout
from galshift.errors import DataError

_AT_ONCE = 256
_SAMPLED = 64  # images that set the brightness of pictures
_JPEG_QUALITY = 95


def write_layout(
    dataset: Dataset, layout: Layout, card: Path, *, progress: Callable[[int], None] = lambda n: None
) -> tuple[tuple[int, ...], list[str]]:
    """Write every image of `dataset` beside `card` as `layout` says, and the card.

    Parameters
    ----------
    dataset : Dataset
        With labels that are classes.
    layout : Layout
    card : Path
        A YAML file; the files of the layout get their published names in its folder.
    progress : callable, optional
        Called with the number of images done since the last call.

    Returns
    -------
    tuple
        Shape of one image as it is stored, and the classes in the order of their numbers.

    Raises
    ------
    DataError
        When there are no classes, an image has none, or one that the published set does not have.
    """
    info = dataset.info
    if info.labels is None or np.ndim(info.labels) != 1 or not info.classes:
        raise DataError("a published layout needs one class for each image", where=dataset.path)
    classes = layout.classes or list(info.classes)
    if n := int((np.asarray(info.labels) < 0).sum()):
        raise DataError(
            f"{n} images have no label, which the published set has no word for", where=dataset.path
        )
    missing = [name for name in info.classes if name not in classes]
    if missing:
        raise DataError(
            f"the published set has no class '{missing[0]}'",
            where=dataset.path,
            hint=f"--classes-map {missing[0]}=NAME, NAME one of {', '.join(classes)}",
        )
    number = np.array([classes.index(name) for name in info.classes])
    labels = number[np.asarray(info.labels)]
    write = {"arrays": _arrays, "hdf5": _hdf5, "pictures": _pictures}[layout.form]
    shape, said = write(dataset, labels, classes, layout, card.parent, progress)
    path = ":".join(str(card.with_name(name)) for name in layout.files[: 2 if layout.form == "arrays" else 1])
    options = ReadOptions.model_validate({"pixel_scale_arcsec": _scale(info.pixel_scale), **said})
    write_card(card, path, options, remark="Of images that lie on disk as those of a published set do.")
    return shape, classes


def _scale(pixel_scale: Any) -> float | None:
    return None if pixel_scale is None else float(np.median(pixel_scale))


def _chunks(dataset: Dataset) -> Iterator[tuple[slice, Cutouts]]:
    for start in range(0, len(dataset), _AT_ONCE):
        rows = slice(start, min(start + _AT_ONCE, len(dataset)))
        yield rows, dataset.read(np.arange(rows.start, rows.stop))


def _stored(images: np.ndarray, layout: Layout) -> np.ndarray:
    turned = np.moveaxis(images, 1, -1) if layout.axes == "NHWC" else images
    return np.ascontiguousarray(turned, dtype=layout.dtype)


def _shape(dataset: Dataset, layout: Layout) -> tuple[int, int, int]:
    bands, height, width = dataset.info.shape
    return (height, width, bands) if layout.axes == "NHWC" else (bands, height, width)


def _said(dataset: Dataset, classes: list[str]) -> dict[str, Any]:
    """Return what a card says of arrays: nothing of it stands in the files."""
    info = dataset.info
    names = {f"class{k}": name for k, name in enumerate(classes)}
    return {"unit": info.unit, "bands": info.bands, "classes_map": names}


def _labels(labels: np.ndarray, classes: list[str], layout: Layout) -> np.ndarray:
    return np.eye(len(classes), dtype=np.int64)[labels] if layout.one_hot else labels.astype(np.int64)


def _arrays(
    dataset: Dataset, labels: np.ndarray, classes: list[str], layout: Layout, folder: Path, progress: Callable
) -> tuple[tuple[int, ...], dict[str, Any]]:
    shape = _shape(dataset, layout)
    images = np.lib.format.open_memmap(
        folder / layout.images, "w+", np.dtype(layout.dtype), (len(dataset), *shape)
    )
    for rows, part in _chunks(dataset):
        images[rows] = _stored(part.images, layout)
        progress(rows.stop - rows.start)
    images.flush()
    np.save(folder / layout.labels, _labels(labels, classes, layout))
    return shape, _said(dataset, classes)


def _hdf5(
    dataset: Dataset, labels: np.ndarray, classes: list[str], layout: Layout, folder: Path, progress: Callable
) -> tuple[tuple[int, ...], dict[str, Any]]:
    import h5py

    shape = _shape(dataset, layout)
    with h5py.File(folder / layout.images, "w") as file:
        images = file.create_dataset("images", (len(dataset), *shape), layout.dtype)
        for rows, part in _chunks(dataset):
            images[rows] = _stored(part.images, layout)
            progress(rows.stop - rows.start)
        file.create_dataset("labels", data=_labels(labels, classes, layout))
    return shape, _said(dataset, classes)


def _pictures(
    dataset: Dataset, labels: np.ndarray, classes: list[str], layout: Layout, folder: Path, progress: Callable
) -> tuple[tuple[int, ...], dict[str, Any]]:
    from PIL import Image

    place = folder / layout.images
    place.mkdir()
    top = _brightest(dataset)
    with (folder / layout.labels).open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(layout.columns)
        for rows, part in _chunks(dataset):
            for row, picture in zip(range(rows.start, rows.stop), _colours(part.images, top)):
                name = layout.name.format(row)
                saved = {} if name.endswith(".png") else {"quality": _JPEG_QUALITY}
                Image.fromarray(picture).save(place / name, **saved)
                words = {"name": name, "number": row, "class": classes[labels[row]]}
                table.writerow([column.format(**words) for column in layout.columns.values()])
            progress(rows.stop - rows.start)
    named = next(column for column, text in layout.columns.items() if "{name}" in text)
    label = next(column for column, text in layout.columns.items() if text == "{class}")
    said = {"labels": str(folder / layout.labels), "id_column": named, "label_column": label}
    return (*dataset.info.shape[1:], 3), said


def _brightest(dataset: Dataset) -> float:
    """Return the flux that is white in every picture: what one pixel in 500 exceeds."""
    rows = np.unique(np.linspace(0, len(dataset) - 1, _SAMPLED).astype(int))
    return max(float(np.quantile(dataset.read(rows).images, 0.998)), 1e-30)


def _colours(images: np.ndarray, top: float) -> np.ndarray:
    """Return 8-bit pictures (N, H, W, 3): the reddest band red, on an asinh scale (Lupton et al. 2004)."""
    bands = images[:, [-1, images.shape[1] // 2, 0]]
    steep = 10.0
    level = np.arcsinh(steep * np.clip(bands / top, 0, 1)) / np.arcsinh(steep)
    return np.moveaxis((255 * level).round().astype(np.uint8), 1, -1)
