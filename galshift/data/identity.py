"""Which images of two data sets show the same galaxy: by names that someone gave, or by place on the sky.

Row numbers and file names are made up anew for every data set.  They link two only where both are products of
one data set (mocks of the same galaxies for two surveys), or are one file.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from galshift.data.cutouts import GIVEN, NUMBERED, Dataset
from galshift.errors import DataError

_RA, _DEC = ("ra", "ra_deg", "raj2000", "ra_icrs"), ("dec", "dec_deg", "dej2000", "dec_icrs")


def share_names(first: Dataset, second: Dataset) -> bool:
    """Return whether one name of a galaxy is one galaxy in both data sets."""
    if first.info.groups_from == second.info.groups_from != NUMBERED:
        return True
    paths = [dataset.path for dataset in (first, second)]
    return None not in paths and len({os.path.realpath(path) for path in paths}) == 1


def same_galaxies(first: Dataset, second: Dataset) -> np.ndarray:
    """Return for each image of `second` the group of `first` that shows its galaxy; empty where none does.

    Where one of the two was opened with a radius, what lies no farther apart on the sky is linked besides.

    Parameters
    ----------
    first, second : Dataset

    Returns
    -------
    ndarray of str
        (N,), the same for all images of one group of `second`.

    Raises
    ------
    DataError
        When a radius was given and a data set has no sky positions.
    """
    groups, theirs = (np.asarray(d.info.groups).astype(str) for d in (second, first))
    found = np.full(len(groups), "", dtype=object)
    if share_names(first, second):
        shared = np.isin(groups, theirs)
        found[shared] = groups[shared]
    radius = max(dataset.info.match_radius_arcsec or 0.0 for dataset in (first, second))
    if radius:
        near = _nearest(first, second, radius)
        linked = {groups[i]: theirs[near[i]] for i in np.flatnonzero(near >= 0)[::-1]}
        for i in np.flatnonzero(found == ""):
            found[i] = linked.get(groups[i], "")
    return found.astype(str)


def numbering_of(dataset: Dataset) -> str:
    """Return what products of a data set keep as `groups_from`: the same for all products of it.

    Of a data set whose galaxies are numbered it is told by its first and last image and their names.
    """
    info = dataset.info
    if info.groups_from != NUMBERED:
        return info.groups_from
    digest = hashlib.sha256()
    for row, group in enumerate(info.groups):
        digest.update(f"\0{group}".encode() if row else str(group).encode())
    digest.update(np.ascontiguousarray(dataset.read([0, len(dataset) - 1]).images).tobytes())
    return f"{NUMBERED} {digest.hexdigest()[:16]}"


def names_of_products(stored: str | None, groups: np.ndarray) -> str:
    """Return `groups_from` of a file of galshift's own: what it says, or what its names (N,) look like.

    Older files do not say; there, groups that count the rows are row numbers.
    """
    if stored:
        return stored
    return NUMBERED if np.array_equal(groups, np.arange(len(groups)).astype(str)) else GIVEN


def sky_positions(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return right ascension and declination [deg], (N,) each, NaN where unknown.

    Raises
    ------
    DataError
        When the data set's table has no such columns.
    """
    table = dataset.info.table
    folded: dict[str, Any] = {} if table is None else {name.casefold(): name for name in table.colnames}
    angles = []
    for names in (_RA, _DEC):
        have = next((folded[name] for name in names if name in folded), None)
        if have is None:
            raise DataError(
                f"the catalogue has no column '{names[0]}'" if folded else "the images have no sky positions",
                where=dataset.path,
                hint="sky positions are columns ra and dec, in degrees, of a catalogue with one row an image",
            )
        angles.append(np.ma.filled(np.ma.asarray(table[have], dtype=float), np.nan))
    return angles[0], angles[1]


def _nearest(first: Dataset, second: Dataset, radius_arcsec: float) -> np.ndarray:
    """For each image of `second` the nearest image of `first` within the radius, -1 for none."""
    from scipy.spatial import cKDTree

    one, two = (_unit_vectors(*sky_positions(dataset)) for dataset in (first, second))
    here, there = (np.isfinite(vectors).all(axis=1) for vectors in (one, two))
    found = np.full(len(two), -1)
    if not here.any() or not there.any():
        return found
    chord = 2 * np.sin(np.radians(radius_arcsec / 3600) / 2)
    # A distance of exactly the radius counts, whatever the last bit of its sine.
    distance, index = cKDTree(one[here]).query(two[there], distance_upper_bound=chord * (1 + 1e-9))
    found[np.flatnonzero(there)[np.isfinite(distance)]] = np.flatnonzero(here)[index[np.isfinite(distance)]]
    return found


def _unit_vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
