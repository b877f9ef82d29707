"""Which galaxies to label next.

To improve a classifier: clusters of uncertain galaxies, one from each, so that labels are not spent on near
copies (CLUE, Prabhu et al. 2021, arXiv:2010.08666, eq. 4: k-means of the features weighted by entropy, then
the galaxy nearest to each centre).  To measure one: a simple random sample, the only choice whose accuracy is
that of the whole data set.
"""

from __future__ import annotations

import numpy as np

from galshift.streams import numpy_stream, stream_seed

MOST = 20_000


def uncertain_and_different(
    features: np.ndarray, entropy: np.ndarray, groups: np.ndarray, budget: int, seed: int = 0
) -> np.ndarray:
    """Return the rows of at most `budget` galaxies, the one that stands for most uncertainty first.

    Parameters
    ----------
    features : ndarray
        (N, D).
    entropy : ndarray
        (N,) of each image's probabilities, >= 0.
    groups : ndarray of str
        (N,); a galaxy is chosen once, by its most uncertain image.
    budget : int
    seed : int
        Of the clusters' first centres, and of the 20 000 galaxies that are looked at where there are more.

    Returns
    -------
    ndarray
        (min(budget, number of galaxies),) row numbers.
    """
    from sklearn.cluster import KMeans

    rows = most_uncertain_of_each(entropy, groups)
    rows = rows[np.isfinite(features[rows]).all(axis=1)]
    if len(rows) <= budget:
        return rows[np.argsort(-entropy[rows], kind="stable")]
    if len(rows) > MOST:
        rows = np.sort(numpy_stream(seed, "suggest", "pool").choice(rows, MOST, replace=False))
    x = features[rows].astype(np.float64)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    weight = np.maximum(entropy[rows], 1e-12)
    clusters = KMeans(
        n_clusters=budget, n_init=1, random_state=stream_seed(seed, "suggest", "clusters") % 2**32
    ).fit(x, sample_weight=weight)
    distance = ((x - clusters.cluster_centers_[clusters.labels_]) ** 2).sum(axis=1)
    chosen, mass = [], []
    for k in range(budget):
        members = np.flatnonzero(clusters.labels_ == k)
        if members.size:
            chosen.append(rows[members[np.argmin(distance[members])]])
            mass.append(weight[members].sum())
    return np.array(chosen)[np.argsort(-np.array(mass), kind="stable")]


def at_random(groups: np.ndarray, budget: int, seed: int = 0) -> np.ndarray:
    """Return the rows of `budget` galaxies drawn with equal chances, one image of each, in the order drawn.

    `groups` (N,) is the galaxy of each image.  A smaller budget of the same seed gives the first of a larger
    one's.
    """
    generator = numpy_stream(seed, "suggest", "random")
    order = generator.permutation(len(groups))
    first = np.sort(np.unique(np.asarray(groups)[order], return_index=True)[1])
    drawn = order[first]
    # Every galaxy must have the same chance, however many images it has: draw galaxies, not images.
    drawn = drawn[np.argsort(np.asarray(groups)[drawn], kind="stable")]
    return generator.permutation(drawn)[:budget]


def at_random_in_strata(groups: np.ndarray, strata: np.ndarray, budget: int, seed: int = 0) -> np.ndarray:
    """Return the rows of `budget` galaxies, one image of each: half as `at_random`, half even over strata.

    Within a stratum every galaxy has the same chance; a stratum that is too small is taken whole, and what it
    leaves goes to others.

    Parameters
    ----------
    groups : ndarray
        (N,).
    strata : ndarray
        (N,) int, the same for all images of a galaxy.
    budget, seed : int
    """
    order = at_random(groups, len(groups), seed)
    inside = [order[strata[order] == name] for name in np.unique(strata)]
    size = np.array([len(one) for one in inside])
    wanted = (0.5 * size / size.sum() + 0.5 / len(size)) * budget
    n = np.minimum(np.floor(wanted).astype(int), size)
    while n.sum() < min(budget, size.sum()):
        n[np.argmax(np.where(n < size, wanted - n, -np.inf))] += 1
    chosen = np.concatenate([one[:m] for one, m in zip(inside, n, strict=True)])
    return numpy_stream(seed, "suggest", "strata").permutation(chosen)


def most_uncertain_of_each(entropy: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return, sorted, the row of the image of most `entropy` (N,) of each galaxy of `groups` (N,)."""
    order = np.argsort(-np.asarray(entropy), kind="stable")
    return np.sort(order[np.unique(np.asarray(groups)[order], return_index=True)[1]])
