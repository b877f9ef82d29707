"""Whether a map may be believed, and whether data sets mix (never measured on the map itself)."""

from __future__ import annotations

from typing import Any

import numpy as np

from galshift.streams import numpy_stream

_MAX_POINTS = 2000


def map_quality(
    features: np.ndarray, points: np.ndarray, *, n_neighbors: int = 12, seed: int = 0
) -> dict[str, Any]:
    """Return how well neighbourhoods survive on the map, each in [0, 1], 1 = perfectly.

    ``trustworthiness``: neighbours on the map are neighbours in feature space; ``continuity``: the reverse
    (Venna & Kaski 2001).  Both are NaN for fewer than 6 points.

    Parameters
    ----------
    features : ndarray
        (N, D).
    points : ndarray
        (N, 2).
    n_neighbors : int
        Lowered to just under half the points where there are few.
    seed : int
        Chooses at most 2 000 points.
    """
    from sklearn.manifold import trustworthiness

    chosen = np.sort(numpy_stream(seed, "embed", "quality").permutation(len(points))[:_MAX_POINTS])
    k = min(n_neighbors, (len(chosen) - 1) // 2)
    if k < 2:
        return {
            "trustworthiness": float("nan"),
            "continuity": float("nan"),
            "n": len(chosen),
            "n_neighbors": k,
        }
    x, y = features[chosen], points[chosen]
    return {
        "trustworthiness": float(trustworthiness(x, y, n_neighbors=k)),
        "continuity": float(trustworthiness(y, x, n_neighbors=k)),
        "n": len(chosen),
        "n_neighbors": k,
    }


def domain_mixing(
    features: np.ndarray, domains: np.ndarray, *, groups: np.ndarray | None = None, n_neighbors: int = 15
) -> dict[str, Any]:
    """Return how far data sets share neighbourhoods in feature space.

    For each galaxy, the share of its nearest neighbours that come from another data set, over the share that
    chance would give: 1 is perfectly mixed, 0 entirely apart.  Views of the same galaxy are not its
    neighbours, in whichever data set they stand.

    Parameters
    ----------
    features : ndarray
        (N, D).
    domains : ndarray of str
        (N,) data set of each row.
    groups : ndarray of str, optional
        (N,) galaxy of each row.
    n_neighbors : int

    Returns
    -------
    dict
        ``mixing`` (mean over data sets), ``by_data_set`` and ``n_neighbors``; NaN with a single data set.
    """
    from sklearn.neighbors import NearestNeighbors

    names, domain = np.unique(domains, return_inverse=True)
    groups = np.arange(len(domain)) if groups is None else np.asarray(groups)
    most = np.unique(groups, return_counts=True)[1].max()
    n = min(n_neighbors + int(most), len(domain))
    index = NearestNeighbors(n_neighbors=n).fit(features).kneighbors(features, return_distance=False)
    other_galaxy = groups[index] != groups[:, None]
    taken = other_galaxy & (np.cumsum(other_galaxy, axis=1) <= n_neighbors)
    foreign = ((domain[index] != domain[:, None]) & taken).sum(axis=1) / np.maximum(taken.sum(axis=1), 1)
    expected = 1 - np.bincount(domain)[domain] / len(domain)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(expected > 0, foreign / expected, np.nan)
    by_set = {str(name): float(np.mean(ratio[domain == i])) for i, name in enumerate(names)}
    return {
        "mixing": float(np.mean(list(by_set.values()))),
        "by_data_set": by_set,
        "n_neighbors": n_neighbors,
    }
