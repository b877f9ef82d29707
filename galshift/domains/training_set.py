"""One part of a domain as linear images to train on, and the head that its labels need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from galshift.domains.domain import Domain
from galshift.domains.observed import Observed
from galshift.errors import DataError
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


def training_set(domain: Domain, part: str, preprocessing: Preprocessing) -> TrainingSet:
    """Return one part of a domain as linear images to train on; labels only where the domain shows any."""
    import torch

    from galshift.training.sets import TrainingSet

    rows = domain.parts[part]
    labels = domain.info.labels
    dataset, observe = domain.dataset, None
    if isinstance(dataset, Observed) and part == "train":
        shape = (len(dataset.look.bands), dataset.side)
        images = _linear_images(dataset.inner, rows, dataset.raw, *shape)
        observe = dataset.observer(preprocessing)
    else:
        shape = (len(preprocessing.bands), preprocessing.size)
        images = _linear_images(dataset, rows, preprocessing.linear, *shape)
    if isinstance(images, torch.Tensor) and not bool(images.any()):
        raise DataError(
            f"no image of the {part} part has a pixel that is good and not zero",
            where=domain.dataset.path,
            hint="galshift inspect shows what the images hold",
        )
    return TrainingSet(
        images=images,
        labels=None if labels is None else torch.from_numpy(_in_order(domain.info, preprocessing)[rows]),
        ids=tuple(domain.ids(part)),
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
) -> Tensor | BlockReader:
    """The linear pixels of `rows` as one tensor, or a reader of batches when the data set would not fit."""
    import torch

    from galshift.data.stream import BlockReader

    image_bytes = 4 * n_bands * size * size
    # All parts of a data set are read alike: a tenth of what does not fit may still be too much.
    if len(dataset) * image_bytes > MEMORY_BYTES:
        return BlockReader(dataset, rows, linear, image_bytes)
    out = torch.empty((len(rows), n_bands, size, size), dtype=torch.float32)
    for start in range(0, len(rows), 256):
        block = linear(dataset.read(rows[start : start + 256]))
        out[start : start + len(block)] = torch.from_numpy(block)
    return out


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
