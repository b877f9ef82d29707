"""The galaxies most like one galaxy, by what a classifier decides on.

Distances are Euclidean in features scaled to unit spread over all galaxies searched, so that no single
feature rules because its numbers are large.
"""

from __future__ import annotations

import numpy as np

from galshift.embedding.anomaly import neighbor_distance

_COMPARED = 2000


def nearest(
    query: np.ndarray, features: np.ndarray, groups: np.ndarray, *, n: int, group: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the `n` galaxies nearest to `query`, nearest first, and their distances.

    Parameters
    ----------
    query : ndarray
        (D,).
    features : ndarray
        (N, D); rows that are not finite are passed over.
    groups : ndarray of str
        (N,) the galaxy of each row; each galaxy is given once, by its nearest image.
    n : int
    group : str, optional
        The query's own galaxy, whose other images do not count.

    Returns
    -------
    tuple of ndarray
        (m,) rows and distances, m <= n; a distance is in spreads of one feature.
    """
    features = np.asarray(features, dtype=np.float64)
    usable = np.flatnonzero(np.isfinite(features).all(axis=1) & (np.asarray(groups) != group))
    if not usable.size:
        return np.zeros(0, dtype=int), np.zeros(0)
    spread = _spread(features)
    offsets = (features[usable] - np.asarray(query, dtype=np.float64)) / spread
    distances = np.sqrt((offsets**2).sum(axis=1))
    order = np.argsort(distances, kind="stable")
    first = np.sort(np.unique(np.asarray(groups)[usable[order]], return_index=True)[1])[:n]
    return usable[order[first]], distances[order[first]]


def rarity(
    query: np.ndarray,
    features: np.ndarray,
    groups: np.ndarray,
    *,
    n: int,
    group: str | None = None,
    seed: int = 0,
) -> float:
    """Return the share of galaxies whose `n` nearest others are nearer than those of `query`.

    Near 1 the query stands alone; 0.5 is ordinary; NaN where fewer than three images can be compared.

    Parameters
    ----------
    query : ndarray
        (D,).
    features : ndarray
        (N, D); rows that are not finite are left out, and at most 2000, drawn by `seed`, are compared.
    groups : ndarray
        (N,), the galaxy of each image.
    n : int
    group : str, optional
        The query's own galaxy, which is left out.
    seed : int
    """
    from galshift.streams import numpy_stream

    features = np.asarray(features, dtype=np.float64)
    usable = np.isfinite(features).all(axis=1) & (np.asarray(groups) != group)
    kept = np.flatnonzero(usable)
    if kept.size > _COMPARED:
        drawn = numpy_stream(seed, "similar", "rarity").choice(kept.size, _COMPARED, replace=False)
        kept = kept[np.sort(drawn)]
    if kept.size < 3:
        return float("nan")
    scaled = np.concatenate([features[kept], np.asarray(query, dtype=np.float64)[None]])
    names = np.append(np.asarray(groups)[kept], "" if group is None else group)
    distances = neighbor_distance(scaled / _spread(features), names, n)
    return float((distances[:-1] < distances[-1]).mean())


def _spread(features: np.ndarray) -> np.ndarray:
    """Spread (D,) of every feature over the finite rows; that of a constant one is 1."""
    finite = features[np.isfinite(features).all(axis=1)]
    spread = finite.std(axis=0)
    return np.where(spread > 0, spread, 1.0)
