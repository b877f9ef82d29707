"""What train and adapt share: opening a domain, splitting it by galaxy, and its images as training sets."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galshift.data.card import placed, resolve
from galshift.data.identity import same_galaxies
from galshift.data.open import open_dataset
from galshift.data.splits import split_groups
from galshift.domains.config import OnTheFly, SplitConfig
from galshift.domains.observed import observed
from galshift.domains.splits import SplitRecord, absolute
from galshift.errors import DataError

if TYPE_CHECKING:
    from galshift.data.cutouts import DataInfo, Dataset
    from galshift.data.open import ReadOptions


@dataclass(frozen=True)
class Domain:
    """A data set with the row numbers of its parts.

    Attributes
    ----------
    dataset : Dataset
    parts : mapping of str to ndarray
        Row numbers of ``train``, ``valid`` (labelled domains only) and ``test``.
    observe : OnTheFly or None
        The survey that `dataset` shows its galaxies through.
    labelled : Dataset or None
        With the labels that `dataset` hides, for the evaluation alone; None where it hides none.
    """

    dataset: Dataset
    parts: Mapping[str, np.ndarray]
    observe: OnTheFly | None = None
    labelled: Dataset | None = None

    @property
    def info(self) -> DataInfo:
        """What is known of the data set."""
        return self.dataset.info

    def ids(self, part: str) -> list[str]:
        """Return the image ids of one part."""
        return [str(i) for i in self.info.ids[self.parts[part]]]

    def record(self, path: str, read: ReadOptions) -> SplitRecord:
        """Return what ``splits.json`` says of this domain, opened from `path` with `read`."""
        parts = {part: self.ids(part) for part in self.parts}
        dataset = copy.copy(self.dataset if self.labelled is None else self.labelled)
        # As it is called when it is opened from splits.json, whatever folder that is done from.
        dataset.path = Path(absolute(str(dataset.path)))
        named = resolve(path, read)
        return SplitRecord(
            absolute(named.path), placed(named.options), parts, self.observe, named.name, dataset
        )


def open_source(
    path: str, options: ReadOptions, split: SplitConfig, seed: int, observe: OnTheFly | None = None
) -> Domain:
    """Open a labelled domain and split it by galaxy into train, valid and test, stratified by class.

    With `observe` the domain is what that survey shows of the galaxies.

    Raises
    ------
    DataError
        When it has no such labels as `options` name, fewer than two classes, or too few galaxies.
    """
    dataset = observed(open_dataset(path, options), observe)
    info = dataset.info
    known = _known_numbers(info, path) if options.label_kind != "class" else _known_classes(info, path)
    strata = _strata(np.asarray(info.labels)[known], options.label_kind)
    fractions = {"train": 1 - split.valid - split.test, "valid": split.valid, "test": split.test}
    parts = split_groups(info.groups[known], strata, fractions, seed)
    return Domain(dataset, {name: known[rows] for name, rows in parts.items()}, observe)


def _strata(labels: np.ndarray, kind: str) -> np.ndarray:
    """What a split is stratified by: the class, the votes' winner, or the first continuous label."""
    return labels[:, 0] if kind == "value" else labels


def _known_numbers(info: DataInfo, path: str) -> np.ndarray:
    """Rows whose votes or continuous labels are all known."""
    known = np.flatnonzero(np.isfinite(info.labels).all(axis=1))
    n_galaxies = len(np.unique(info.groups[known]))
    if n_galaxies < 10:
        raise DataError(
            f"{n_galaxies} galaxies have a finite {' and '.join(info.classes)}, and ten are needed",
            where=path,
            hint="check the label column",
        )
    return known


def teaches_classes(info: DataInfo) -> bool:
    """Tell whether a classifier could be trained on these labels."""
    try:
        return len(_known_classes(info, "")) > 0
    except DataError:
        return False


def _known_classes(info: DataInfo, path: str) -> np.ndarray:
    """Rows with a class, once there are enough galaxies of each."""
    labels = info.labels
    if labels is None or np.ndim(labels) != 1 or not np.issubdtype(np.asarray(labels).dtype, np.integer):
        numeric = labels is not None and np.asarray(labels).dtype.kind == "f"
        raise DataError(
            "the source has no class labels",
            where=path,
            hint=f"its labels are numbers: --label-kind {'votes' if np.size(labels) > info.n else 'value'}"
            if numeric
            else "give them with --labels file.csv or --labels COLUMN, or one sub-folder per class",
        )
    known = np.flatnonzero(np.asarray(labels) >= 0)
    present = np.unique(np.asarray(labels)[known])
    if len(present) < 2:
        only = f"only '{info.classes[present[0]]}'" if len(present) and info.classes else "no class at all"
        raise DataError(
            f"a classifier needs at least two classes and the labels name {only}",
            where=path,
            hint="check the label column, or --classes-map",
        )
    for k in present:
        n_galaxies = len(np.unique(info.groups[known][labels[known] == k]))
        if n_galaxies < 3:
            name = info.classes[k] if info.classes else k
            galaxies = "galaxy" if n_galaxies == 1 else "galaxies"
            raise DataError(
                f"class '{name}' has {n_galaxies} labelled {galaxies}, and three are needed",
                where=path,
                # Of two classes neither can go.
                hint="merge or drop the class with --classes-map"
                if len(present) > 2
                else "give more galaxies of this class",
            )
    return known


def open_target(
    path: str, options: ReadOptions, split: SplitConfig, seed: int, source: Domain | None = None
) -> Domain:
    """Open the unlabelled domain and split its galaxies into train and test; labels play no part.

    A galaxy that `source` shows too (by a name that someone gave, by its place on the sky, or because both
    are mocks of one data set) is in the same part of both, so that none is trained on in one survey and
    tested on in the other; those of the source's validation part are left out of training.

    Raises
    ------
    DataError
        When it shows fewer than two galaxies, or a part would have none.
    """
    dataset = open_dataset(path, options)
    n_galaxies = len(np.unique(dataset.info.groups))
    if n_galaxies < 2:
        raise DataError(
            f"the target shows {n_galaxies} galaxy; adaptation needs at least two",
            where=path,
            hint="check the 'group' column or attribute" if len(dataset) > 1 else "give more images",
        )
    groups = np.asarray(dataset.info.groups).astype(str)
    home = _parts_of_groups(source)
    same = same_galaxies(source.dataset, dataset) if source else groups
    shared = np.array([name in home for name in same])
    own = np.flatnonzero(~shared)
    fractions = {"train": 1 - split.test, "test": split.test}
    parts = split_groups(groups[own], None, fractions, seed) if len(own) else {}
    rows = {part: own[chosen] for part, chosen in parts.items()}
    for part in ("train", "valid", "test") if shared.any() else ():
        along = [row for row in np.flatnonzero(shared) if home[same[row]] == part]
        rows[part] = np.sort(np.concatenate([rows.get(part, own[:0]), np.asarray(along, dtype=own.dtype)]))
    for part in fractions:
        if not len(rows[part]):
            why = "most are in the source too" if shared.any() else f"it shows {n_galaxies} galaxies in all"
            # Who is dealt where is luck only where the source has a say.
            other = "another --seed" if shared.any() else "a larger test part: --set split.test=0.5"
            raise DataError(
                f"no galaxy of the target is left for its {part} part: {why}",
                where=path,
                hint=f"give more galaxies, or {other}",
            )
    return Domain(Unlabelled(dataset), rows, labelled=dataset)


def _parts_of_groups(domain: Domain | None) -> dict[str, str]:
    """The part of each galaxy of `domain`; empty for none."""
    if domain is None:
        return {}
    groups = np.asarray(domain.info.groups).astype(str)
    return {groups[row]: part for part, rows in domain.parts.items() for row in rows}


class Unlabelled:
    """A data set whose labels cannot be seen: what training is given of the target."""

    def __init__(self, dataset: Dataset) -> None:
        self.path, self.name, self._dataset = dataset.path, dataset.name, dataset
        self.info = replace(dataset.info, labels=None, classes=())

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, indices: np.ndarray):
        """Return the images at `indices` without labels."""
        return self._dataset.read(indices).with_(labels=None, classes=())
