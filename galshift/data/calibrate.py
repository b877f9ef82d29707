"""Counts of arrays that state no unit, made nJy by the zero point that the user gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.readers._base import Opened
from galshift.data.units import njy_per_count
from galshift.errors import DataError, did_you_mean

_COUNTS = ("ct", "adu", "electron")


class Calibrated(Opened):
    """A data set in counts seen in nJy."""

    def __init__(self, base: Dataset, factors: np.ndarray) -> None:
        super().__init__(base.path, dataclasses.replace(base.info, unit="nJy"), base.name)
        self.base, self.factors = base, factors.reshape(1, -1, 1, 1)

    def read(self, indices: Sequence[int] | np.ndarray) -> Cutouts:
        """Return the images at `indices`, in that order, in nJy."""
        counts = self.base.read(indices)
        ivar = None if counts.ivar is None else (counts.ivar / self.factors**2).astype(np.float32)
        images = (counts.images * self.factors).astype(np.float32)
        return counts.with_("zero point -> nJy", images=images, ivar=ivar, unit="nJy")


def calibrated(dataset: Dataset, zero_point: float | dict[str, float]) -> Dataset:
    """Return `dataset` in nJy, one count being of AB magnitude `zero_point` (one number, or one a band).

    Raises
    ------
    DataError
        When its unit is known and is not counts, or a band has no zero point.
    """
    info = dataset.info
    if info.unit is not None and info.unit.split(" ")[0] not in _COUNTS:
        raise DataError(
            f"a zero point is for counts, and these images are in {info.unit}",
            where=dataset.path,
            hint="leave --zero-point out",
        )
    if isinstance(zero_point, dict):
        lacking = [band for band in info.bands if band not in zero_point]
        if lacking:
            raise DataError(
                f"no zero point for band '{lacking[0]}'",
                where=dataset.path,
                hint=did_you_mean(lacking[0], zero_point),
            )
    each = [zero_point[band] if isinstance(zero_point, dict) else zero_point for band in info.bands]
    return Calibrated(dataset, np.asarray([njy_per_count(value) for value in each]))
