"""Splits that never put one galaxy on both sides, and keep the class mix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from galshift.errors import DataError
from galshift.streams import stream_seed


def split_groups(
    groups: np.ndarray,
    labels: np.ndarray | None,
    fractions: Mapping[str, float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Split images so that no group is in two splits and every split has the same class mix.

    Each group (a galaxy, a field, a sky region) goes whole to the split that is furthest below its share of
    the group's class.  The order in which groups are dealt comes from their names and the seed, so the result
    does not depend on the order of the rows.

    Parameters
    ----------
    groups : ndarray of str
        (N,) name of the galaxy that each image shows.
    labels : ndarray or None
        (N,) class indices (-1 where there is none), (N, K) soft labels, or (N,) continuous ones (dealt by
        decile); None for no stratification.
    fractions : mapping of str to float
        Share of the images by name of the split, such as ``{"train": 0.7, "validation": 0.1, "test": 0.2}``.
    seed : int

    Returns
    -------
    dict of str to ndarray
        Sorted row indices of each split; together every row exactly once.

    Raises
    ------
    DataError
        When the fractions are not positive or do not sum to one.
    """
    shares = np.asarray(list(fractions.values()), dtype=float)
    if not len(shares) or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise DataError(f"split fractions must be positive and sum to 1, not {dict(fractions)}")
    groups = np.asarray(groups).astype(str)
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    strata = _group_strata(inverse, len(names), strata_of(labels, len(groups)))
    dealt = np.asarray([stream_seed(seed, "split", name) for name in names], dtype=np.uint64)
    home = np.empty(len(names), dtype=np.int64)
    total = np.zeros(len(shares))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        members = members[np.argsort(dealt[members], kind="stable")]
        wanted = shares * sizes[members].sum()
        for group in members:
            # The small second term lets rare classes even out the splits' totals.
            deficit = wanted - 1e-6 * (total / shares)
            split = int(np.argmax(deficit))
            home[group] = split
            wanted[split] -= sizes[group]
            total[split] += sizes[group]
    return {name: np.flatnonzero(home[inverse] == split) for split, name in enumerate(fractions)}


def strata_of(labels: np.ndarray | None, n: int) -> np.ndarray:
    """Return (n,) int64 strata: the class, the argmax of soft labels, or the decile of continuous ones."""
    if labels is None:
        return np.zeros(n, dtype=np.int64)
    labels = np.asarray(labels)
    if labels.ndim == 2:
        return np.where(np.isfinite(labels).all(axis=1), np.argmax(np.nan_to_num(labels), axis=1), -1)
    if labels.dtype.kind in "iub":
        return labels.astype(np.int64)
    known = np.isfinite(labels)
    if not known.any():
        return np.full(n, -1, dtype=np.int64)
    edges = np.quantile(labels[known], np.linspace(0, 1, 11)[1:-1])
    return np.where(known, np.searchsorted(edges, np.nan_to_num(labels)), -1)


def sky_regions(ra_deg: np.ndarray, dec_deg: np.ndarray, size_deg: float = 1.0) -> np.ndarray:
    """Return names of sky cells of about `size_deg` on a side, equal in area, to split by region.

    Parameters
    ----------
    ra_deg, dec_deg : ndarray
        (N,) degrees; NaN gives each image a cell of its own.
    size_deg : float
        Side of a cell; declination bands are cut into cells of equal length in right ascension.
    """
    ra, dec = np.asarray(ra_deg, dtype=float) % 360, np.asarray(dec_deg, dtype=float)
    band = np.floor((dec + 90) / size_deg)
    middle = np.clip((band + 0.5) * size_deg - 90, -90, 90)
    cells = np.maximum(1, np.round(360 * np.cos(np.radians(middle)) / size_deg))
    cell = np.floor(ra / 360 * cells)
    known = np.isfinite(ra) & np.isfinite(dec)
    return np.asarray(
        [
            f"sky-{b:.0f}-{c:.0f}" if k else f"unknown-{i}"
            for i, (b, c, k) in enumerate(zip(band, cell, known))
        ]
    )


def _group_strata(inverse: np.ndarray, n_groups: int, strata: np.ndarray) -> np.ndarray:
    """Return each group's commonest stratum, the smallest of those that tie."""
    counts: dict[int, Counter[int]] = {}
    for group, stratum in zip(inverse.tolist(), strata.tolist()):
        counts.setdefault(group, Counter())[stratum] += 1
    return np.asarray([min(counts[g], key=lambda s: (-counts[g][s], s)) for g in range(n_groups)])
