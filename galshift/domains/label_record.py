"""``target_labels.json``: the galaxies of the target whose labels trained a run: none of them judges it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import NUMBERED, Dataset
from galshift.provenance import read_record, write_json

FILE = "target_labels.json"
_READ = 256


@dataclass(frozen=True)
class LabelRecord:
    """k labelled images of one target.

    Attributes
    ----------
    data, file : str
        What the target, and the file of labels, are called.
    names : tuple of str
        The classes, or the continuous labels.
    ids : tuple of str
    labels : tuple
        The class of each image, or its numbers.
    groups, groups_from : tuple of str, str
        The galaxies, and where their names come from.
    pixels : tuple of str
        A key of each image that its copies share, turned and mirrored ones too; empty for a blank image.
    """

    data: str
    file: str
    names: tuple[str, ...]
    ids: tuple[str, ...]
    labels: tuple[Any, ...]
    groups: tuple[str, ...]
    groups_from: str
    pixels: tuple[str, ...]

    def write(self, run: Path) -> None:
        """Write it into the folder of a run."""
        write_json(run / FILE, asdict(self))

    def beside(self, other: LabelRecord | None) -> LabelRecord:
        """Return one record of these galaxies and of those of `other`, which another training had learnt."""
        if other is None or other.names != self.names:
            return self
        new = [i for i, name in enumerate(other.ids) if name not in self.ids or other.data != self.data]
        named = other.groups_from == self.groups_from
        return replace(
            self,
            ids=(*self.ids, *(other.ids[i] for i in new)),
            labels=(*self.labels, *(other.labels[i] for i in new)),
            groups=(*self.groups, *(other.groups[i] if named else "" for i in new)),
            pixels=(*self.pixels, *(other.pixels[i] for i in new)),
        )

    def shown_in(self, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
        """Return which of the images at `rows` of any data set (n,) show one of these galaxies.

        By a name that someone gave the galaxy, or by their pixels.
        """
        info = dataset.info
        groups = np.asarray(info.groups)[rows].astype(str)
        found = np.isin(pixel_keys(dataset, rows), [key for key in self.pixels if key])
        if info.groups_from == self.groups_from != NUMBERED:
            found |= np.isin(groups, self.groups)
        return np.isin(groups, groups[found])


def read_label_record(run: Path) -> LabelRecord | None:
    """Return the target labels that trained a run; None for one that had none.

    Raises
    ------
    DataError
        When the record is damaged.
    """

    def made(stored: Any) -> LabelRecord:
        return LabelRecord(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
        )

    return read_record(Path(run) / FILE, "the run's record of its target labels is damaged", made)


def pixel_keys(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Return a key (n,) of each image at `rows` that its exact copies share, however turned or mirrored.

    It is made of the image's values in order of size; a blank image has none.
    """
    keys: list[str] = []
    for start in range(0, len(rows), _READ):
        images = dataset.read(np.asarray(rows)[start : start + _READ]).images
        values = np.sort(np.nan_to_num(images.reshape(*images.shape[:2], -1)), axis=2)
        for one in values:
            blank = bool((one[:, 0] == one[:, -1]).all())
            keys.append("" if blank else hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest()[:32])
    return np.array(keys, dtype="U32")
