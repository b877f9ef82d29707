"""Which images have one class, of all that several rows of a catalogue, or several copies, say of each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from galshift.data.compact import all_different
from galshift.data.cutouts import Dataset


def one_class(
    dataset: Dataset, images: Iterable[set[str]]
) -> tuple[np.ndarray, list[str | None], dict[str, int]]:
    """Return the images with one class or none, the classes, and how many are left out for what.

    Files with the same content are one image with the labels of all.
    """
    same = getattr(dataset, "same_image", None)
    keys = np.asarray(dataset.info.ids if same is None else same)
    image = np.arange(len(keys)) if all_different(keys) else np.unique(keys, return_inverse=True)[1]
    # A Python set for each of 10^5 images takes megabytes: there are few different ones.
    sets: list[frozenset[str]] = [frozenset()]
    known = {sets[0]: 0}
    together = array("q", bytes(8 * len(keys)))
    for i, names in zip(image, images):
        joined = sets[together[i]] | names
        together[i] = known.setdefault(joined, len(sets))
        if together[i] == len(sets):
            sets.append(joined)
    counted = {"bear two classes": 0, "have a class left out": 0, "are copies": 0}
    keep, labels, seen = array("q"), [], bytearray(len(keys))
    for place, i in enumerate(image):
        every = sets[together[i]]
        names = every - {""}
        if same is not None and seen[i]:
            counted["are copies"] += 1
        elif len(names) > 1:
            counted["bear two classes"] += 1
        elif not names and "" in every:
            counted["have a class left out"] += 1
        else:
            keep.append(place)
            labels.append(next(iter(names), None))
        seen[i] = 1
    return np.array(keep, dtype=np.int64), labels, counted
