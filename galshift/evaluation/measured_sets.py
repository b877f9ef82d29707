"""Measure the sky, the PSF and the galaxies of whole data sets."""

from __future__ import annotations

import numpy as np

from galshift.console import progress
from galshift.data.cutouts import Cutouts, Dataset
from galshift.data.units import to_unit
from galshift.errors import DataError
from galshift.evaluation.measurements import measure
from galshift.streams import numpy_stream

_CHUNK = 128


def one_of_each(dataset: Dataset, limit: int, seed: int, side: str, path: str) -> np.ndarray:
    """Return the rows of one image of each of at most `limit` galaxies, drawn by `seed` and `side`, sorted.

    Raises
    ------
    DataError
        When there are fewer than two galaxies.
    """
    order = numpy_stream(seed, "gap", "limit", side).permutation(len(dataset))
    groups = np.asarray(dataset.info.groups)[order]
    first = np.sort(np.unique(groups, return_index=True)[1])[:limit]
    if len(first) < 2:
        raise DataError("a comparison needs at least two galaxies of each data set", where=path)
    return np.sort(order[first])


def measured(
    dataset: Dataset, rows: np.ndarray, name: str, wanted: str | None
) -> tuple[dict[str, np.ndarray], str | None]:
    """Measure the images at `rows` (N,) in the unit `wanted` where they can be converted, else in their own.

    Returns
    -------
    quantities : dict of str to ndarray
        (N,) each; NaN where an image does not have it.
    unit : str or None
        The one that they were measured in.

    Raises
    ------
    DataError
        When nothing can be measured.
    """
    parts, unit = [], dataset.info.unit
    with progress(f"measure {name}", len(rows)) as bar:
        for start in range(0, len(rows), _CHUNK):
            cutouts = dataset.read(rows[start : start + _CHUNK])
            if wanted is not None and wanted != unit:
                cutouts = _converted(cutouts, wanted)
            if unit is None:
                cutouts = cutouts.with_(unit="unknown unit")
            parts.append(measure(cutouts))
            bar.advance(len(cutouts))
    if wanted is not None and wanted != unit and cutouts.unit == wanted:
        unit = wanted
    names = dict.fromkeys(key for part in parts for key in part)
    if not names:
        raise DataError(
            "not one image of this data set can be measured",
            where=dataset.path,
            hint="galshift inspect shows what the images hold",
        )
    lengths = [len(rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK)]
    blank = [np.full(n, np.nan) for n in lengths]
    return {
        key: np.concatenate([part.get(key, empty) for part, empty in zip(parts, blank, strict=True)])
        for key in names
    }, unit


def _converted(cutouts: Cutouts, unit: str) -> Cutouts:
    try:
        return to_unit(cutouts, unit)
    except DataError:  # no conversion: the quantities keep their own unit in their names
        return cutouts
