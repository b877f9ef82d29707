"""One part of a domain as linear images to train on, and the head that its labels need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from galshift.console import warn
from galshift.data.match import has_pixels
from galshift.domains.domain import Domain
from galshift.domains.observed import Observed
from galshift.errors import DataError
from galshift.timing import timed
from galshift.training.checkpoint import ENCODER, Trained
from galshift.training.heads import Head, make_head

if TYPE_CHECKING:
    from torch import Tensor

    from galshift.data.cutouts import Cutouts, DataInfo, Dataset
    from galshift.data.options import ReadOptions
    from galshift.data.preprocess import Preprocessing
    from galshift.data.stream import BlockReader
    from galshift.domains.domain import Domain
    from galshift.training.sets import TrainingSet

# Above this many bytes of linear float32 pixels a domain is read batch by batch instead of once.
MEMORY_BYTES = 4_000_000_000
_PART = 256


@timed("reading")
def training_set(domain: Domain, part: str, preprocessing: Preprocessing) -> TrainingSet:
    """Return one part of a domain as linear images to train on; labels only where the domain shows any.

    Images without a good pixel are left out, with a warning that counts them.

    Raises
    ------
    DataError
        When no image of the part has a pixel that is good and not zero.
    """
    import torch

    from galshift.training.sets import TrainingSet

    rows = domain.parts[part]
    labels = domain.info.labels
    dataset, observe = domain.dataset, None
    if isinstance(dataset, Observed) and part == "train":
        shape = (len(dataset.look.bands), dataset.side)
        images, rows = _linear_images(dataset.inner, rows, dataset.raw, *shape)
        observe = dataset.observer(preprocessing)
    else:
        shape = (len(preprocessing.bands), preprocessing.size)
        images, rows = _linear_images(dataset, rows, preprocessing.linear, *shape)
    if len(rows) < len(domain.parts[part]):
        warn(
            f"{dataset.name}: {len(domain.parts[part]) - len(rows)} of {len(domain.parts[part])} images of "
            f"the {part} part have no good pixel and are left out"
        )
    if isinstance(images, torch.Tensor) and not bool(images.any()):
        raise DataError(
            f"no image of the {part} part has a pixel that is good and not zero",
            where=domain.dataset.path,
            hint="galshift inspect shows what the images hold",
        )
    return TrainingSet(
        images=images,
        labels=None if labels is None else torch.from_numpy(_in_order(domain.info, preprocessing)[rows]),
        ids=tuple(str(i) for i in domain.info.ids[rows]),
        observe=observe,
    )


def _in_order(info: DataInfo, preprocessing: Preprocessing) -> np.ndarray:
    """The labels of all images: indices into the network's classes, or numbers in the order of its names."""
    labels = np.asarray(info.labels)
    if labels.dtype.kind == "f":
        return labels[:, [info.classes.index(name) for name in preprocessing.classes]].astype(np.float32)
    labels = labels.astype(np.int64)
    if not info.classes or list(info.classes) == preprocessing.classes:
        return labels
    places = np.array([*(preprocessing.classes.index(name) for name in info.classes), -1])
    return places[labels]


def _linear_images(
    dataset: Dataset, rows: np.ndarray, linear: Callable[[Cutouts], np.ndarray], n_bands: int, size: int
) -> tuple[Tensor | BlockReader, np.ndarray]:
    """The linear pixels of `rows` as one tensor, or a reader of batches when the data set would not fit.

    Rows without one good pixel are left out; the second value has those that are there.
    """
    import torch

    from galshift.data.stream import BlockReader

    image_bytes = 4 * n_bands * size * size
    # All parts of a data set are read alike: a tenth of what does not fit may still be too much.
    if len(dataset) * image_bytes > MEMORY_BYTES:
        seen = [has_pixels(dataset.read(part)) for part in _parts(rows)] if dataset.info.has_mask else []
        rows = rows[np.concatenate(seen)] if seen else rows
        return BlockReader(dataset, rows, linear, image_bytes), rows
    out = torch.empty((len(rows), n_bands, size, size), dtype=torch.float32)
    good = np.ones(len(rows), dtype=bool)
    for start, part in zip(range(0, len(rows), _PART), _parts(rows)):
        cutouts = dataset.read(part)
        good[start : start + len(part)] = has_pixels(cutouts)
        out[start : start + len(part)] = torch.from_numpy(linear(cutouts))
    return (out, rows) if good.all() or not good.any() else (out[torch.from_numpy(good)], rows[good])


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _PART] for start in range(0, len(rows), _PART)]


def head_for(read: ReadOptions, source: Domain, classes: Sequence[str], init: Trained | None) -> Head:
    """Return the head for the labels of `source`: that of the run to start from, which its outputs mean.

    Parameters
    ----------
    read : ReadOptions
        How the source was read.
    source : Domain
    classes : sequence of str
        In the network's order.
    init : Trained or None
    """
    if init is not None and not init.meta.get(ENCODER):
        return init.head
    labels = np.asarray(source.info.labels)[source.parts["train"]]
    return make_head(read.label_kind, classes, labels, total=read.vote_total)
