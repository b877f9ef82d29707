"""Which images belong together when a data set is split: by a catalogue's column, or by region of the sky."""

from __future__ import annotations

import re

import numpy as np

from galshift.data.cutouts import GIVEN, Dataset
from galshift.data.identity import sky_positions
from galshift.data.join import Relabelled
from galshift.data.options import ReadOptions
from galshift.data.splits import sky_regions
from galshift.data.tables import column
from galshift.errors import DataError, UsageError

_SKY = re.compile(r"sky(?::(?P<size>[0-9.]+)(?P<unit>deg|arcmin)?)?")


def regrouped(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return `dataset` with the groups that ``options.group_column`` names.

    A column of its catalogue (``field``, ``tile``, ``galaxy_id``) names the group of each image; an image
    whose entry is empty is a group of its own.  ``sky`` or ``sky:0.5deg`` (default 1 deg) groups by cells of
    the sky, from the catalogue's right ascension and declination.

    Raises
    ------
    DataError
        When the data set has no catalogue, or the catalogue no such column.
    UsageError
        When the size of a sky cell is not a positive angle.
    """
    word, table = str(options.group_column), dataset.info.table
    if table is None:
        raise DataError(
            f"there is no catalogue whose column '{word}' could say what belongs together",
            where=dataset.path,
            hint="give one, with one row an image, by --labels, or keep one beside the images",
        )
    sky = _SKY.fullmatch(word)
    if sky is None:
        values = np.ma.asarray(column(table, word, dataset.path))
        names = np.asarray([str(v).strip() for v in np.ma.filled(values.astype(str), "")])
        empty = np.isin(names, ("", "nan", "None", "--"))
        groups = np.where(empty, dataset.info.ids.astype(str), names)
    else:
        groups = sky_regions(*sky_positions(dataset), _size(sky, word))
    everything = np.arange(len(dataset))
    info = dataset.info
    return Relabelled(dataset, everything, info.labels, info.classes, table=table, groups=groups)


def by_ids(dataset: Dataset) -> Dataset:
    """Return `dataset` with its images' ids declared to be names of galaxies that other data sets use too.

    Files of equal content still share their group, and groups that someone named stay.
    """
    info = dataset.info
    if info.groups_from == GIVEN:
        return dataset
    everything = np.arange(len(dataset))
    return Relabelled(dataset, everything, info.labels, info.classes, table=info.table, groups_from=GIVEN)


def _size(sky: re.Match[str], word: str) -> float:
    try:
        size = float(sky["size"] or 1)
    except ValueError:
        size = 0.0
    size /= 60 if sky["unit"] == "arcmin" else 1
    if not 1e-3 <= size <= 90:
        raise UsageError(
            f"'{word}' is not a cell of the sky", where="group_column", hint="such as sky:0.5deg"
        )
    return size
