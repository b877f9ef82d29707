"""Pixels that hold no data, marked by a value of their own: the edge of a survey, a gap, a dead column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.readers._base import Opened, finite

if TYPE_CHECKING:
    from galshift.data.cutouts import Cutouts, Dataset

_ROUNDING = 1e-6  # of a value that is stored as float32


def with_blank(dataset: Dataset, value: float | None) -> Dataset:
    """Return `dataset`, as its reader opened it, with every pixel of `value` masked; None: itself."""
    return dataset if value is None else Blanked(dataset, value)


class Blanked(Opened):
    """`dataset` in which pixels of `value` are bad."""

    def __init__(self, dataset: Dataset, value: float) -> None:
        super().__init__(dataset.path, replace(dataset.info, has_mask=True), dataset.name)
        self._dataset, self._value = dataset, value

    def __getattr__(self, name: str) -> Any:
        """What else the data set knows of itself (its provenance, its layout) is not of its pixels."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order; what was masked already stays so."""
        cutouts = self._dataset.read(indices)
        blank = np.isclose(cutouts.images, self._value, rtol=_ROUNDING, atol=0)
        images, mask = finite(np.where(blank, np.float32(np.nan), cutouts.images), cutouts.mask)
        return replace(cutouts, images=images, mask=mask)
