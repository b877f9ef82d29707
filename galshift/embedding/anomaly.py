"""How unusual each galaxy is among the others of its data set.

Three views of "far from the rest" that fail in different ways, and their mean rank:

- isolation forest (Liu, Ting & Zhou 2008): easily cut off by random splits of single features;
- mean distance to the nearest neighbours of another galaxy (Ramaswamy, Rastogi & Shim 2000);
- Mahalanobis distance with a shrunk covariance (Ledoit & Wolf 2004): far along rarely varying directions.
"""

from __future__ import annotations

import numpy as np

from galshift.streams import stream_seed

_NEIGHBORS = 10


def anomaly_scores(
    features: np.ndarray, *, groups: np.ndarray | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return (N,) scores by name; larger is more unusual.

    Parameters
    ----------
    features : ndarray
        (N, D); a row that is not finite scores NaN.
    groups : ndarray of str, optional
        The galaxy of each row: its other views are not counted as neighbours.
    seed : int

    Returns
    -------
    dict
        ``isolation``, ``neighbors``, ``mahalanobis`` in their own units, and ``anomaly``, the mean of their
        ranks in [0, 1].
    """
    features = np.asarray(features)
    groups = np.arange(len(features)) if groups is None else np.asarray(groups)
    usable = np.isfinite(features).all(axis=1)
    x, g = _scaled(features[usable].astype(np.float64, copy=False)), groups[usable]
    if len(x) < 3:
        found = {name: np.zeros(len(x)) for name in ("isolation", "neighbors", "mahalanobis")}
    else:
        found = {
            "isolation": _isolation(x, seed),
            "neighbors": neighbor_distance(x, g, _NEIGHBORS),
            "mahalanobis": _mahalanobis(x),
        }
    found["anomaly"] = np.mean([_ranks(score) for score in found.values()], axis=0)
    full = {name: np.full(len(features), np.nan) for name in found}
    for name, score in found.items():
        full[name][usable] = score
    return full


def neighbor_distance(x: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """Return the mean distance (N,) of each row of (N, D) to its `k` nearest rows of other groups (N,)."""
    from sklearn.neighbors import NearestNeighbors

    most = np.unique(groups, return_counts=True)[1].max()
    n = min(k + int(most), len(x))
    distances, index = NearestNeighbors(n_neighbors=n).fit(x).kneighbors(x)
    other = groups[index] != groups[:, None]
    taken = other & (np.cumsum(other, axis=1) <= k)
    count = taken.sum(axis=1)
    return np.where(taken, distances, 0).sum(axis=1) / np.maximum(count, 1)


def _isolation(x: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    state = stream_seed(seed, "embed", "isolation") % 2**32
    return -IsolationForest(n_estimators=200, random_state=state).fit(x).score_samples(x)


def _mahalanobis(x: np.ndarray) -> np.ndarray:
    from sklearn.covariance import LedoitWolf

    return np.sqrt(np.maximum(LedoitWolf().fit(x).mahalanobis(x), 0))


def _scaled(x: np.ndarray) -> np.ndarray:
    """Return `x` itself, scaled to zero mean and unit spread."""
    if len(x) == 0:
        return x
    spread, mean = x.std(axis=0), x.mean(axis=0)
    x -= mean  # in place: the features of a survey are most of what is held
    x /= np.where(spread > 0, spread, 1.0)
    return x


def _ranks(score: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return (rankdata(score) - 1) / max(len(score) - 1, 1)
