"""Which galaxies to label next to improve a classifier, each at its cost, until a budget is spent.

Uncertainty: the highest entropy of the answer first.  Diversity: the core-set of Sener & Savarese (2018,
arXiv:1708.00489), algorithm 1, greedy k-centres in the features: next is the galaxy that is farthest from all
that are labelled or chosen.  Mix: :func:`galshift.embedding.labelling.uncertain_and_different`.  Random: the
control.  Where labels differ in cost, what counts is the gain per cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galshift.embedding.labelling import MOST, at_random, most_uncertain_of_each, uncertain_and_different
from galshift.streams import numpy_stream


@dataclass(frozen=True)
class Pool:
    """Images to choose from.

    Attributes
    ----------
    features : ndarray
        (N, D).
    entropy : ndarray
        (N,) of each image's probabilities, >= 0 [nat].
    groups : ndarray of str
        (N,); a galaxy is chosen once.
    cost : ndarray
        (N,) of each image's galaxy, > 0; ones where labels only count.
    labelled : ndarray
        (M, D) features of galaxies whose labels are known; M may be 0.
    """

    features: np.ndarray
    entropy: np.ndarray
    groups: np.ndarray
    cost: np.ndarray
    labelled: np.ndarray


def suggest(pool: Pool, by: str, budget: float, seed: int = 0) -> np.ndarray:
    """Return the rows of `pool` to label, one image a galaxy, in the order of labelling.

    Parameters
    ----------
    pool : Pool
    by : {"mix", "uncertainty", "diversity", "random"}
    budget : float
        What the labels may cost in all.
    seed : int
        Of what is drawn: all of ``random``, the clusters of ``mix``, and the 20 000 galaxies that are looked
        at where there are more.
    """
    return _STRATEGIES[by](pool, budget, seed)


def affordable(order: np.ndarray, cost: np.ndarray, budget: float) -> np.ndarray:
    """Return the rows of `order` (M,) bought in turn by `cost` (N,), without those that no longer fit."""
    chosen, left = [], budget * (1 + 1e-12)
    for row in order:
        if cost[row] <= left:
            chosen.append(row)
            left -= cost[row]
    return np.array(chosen, dtype=int)


def _uncertainty(pool: Pool, budget: float, seed: int) -> np.ndarray:
    rows = most_uncertain_of_each(pool.entropy, pool.groups)
    order = rows[np.argsort(-pool.entropy[rows] / pool.cost[rows], kind="stable")]
    return affordable(order, pool.cost, budget)


def _random(pool: Pool, budget: float, seed: int) -> np.ndarray:
    return affordable(at_random(pool.groups, len(pool.groups), seed), pool.cost, budget)


def _mix(pool: Pool, budget: float, seed: int) -> np.ndarray:
    """One galaxy of each cluster, as many as the budget buys at the median cost, then the uncertain ones."""
    if (pool.cost == 1).all():
        return uncertain_and_different(pool.features, pool.entropy, pool.groups, int(budget), seed)
    n = max(int(budget / np.median(pool.cost)), 1)
    per_cost = pool.entropy / pool.cost  # a cluster's centre moves towards what is cheap to know
    first = uncertain_and_different(pool.features, per_cost, pool.groups, n, seed)
    rest = _uncertainty(pool, float(pool.cost.sum()), seed)
    rest = rest[~np.isin(pool.groups[rest], pool.groups[first])]
    return affordable(np.concatenate([first, rest]), pool.cost, budget)


def _diversity(pool: Pool, budget: float, seed: int) -> np.ndarray:
    """Greedy k-centres; the first of all is the galaxy nearest to the mean."""
    rows = most_uncertain_of_each(pool.entropy, pool.groups)
    rows = rows[np.isfinite(pool.features[rows]).all(axis=1)]
    if len(rows) > MOST:
        rows = np.sort(numpy_stream(seed, "suggest", "pool").choice(rows, MOST, replace=False))
    x, known = _standardised(pool.features[rows], pool.labelled)
    cost, left, chosen = pool.cost[rows], budget * (1 + 1e-12), []
    distance = np.full(len(x), np.inf)
    for centre in known:
        distance = np.minimum(distance, ((x - centre) ** 2).sum(axis=1))
    free = np.ones(len(x), dtype=bool)
    while (can := free & (cost <= left)).any():
        if np.isfinite(distance).all():
            gain = np.where(can, np.sqrt(distance) / cost, -1.0)
        else:  # nothing is labelled yet
            gain = np.where(can, -(x**2).sum(axis=1), -np.inf)
        best = int(np.argmax(gain))
        chosen.append(rows[best])
        free[best], left = False, left - cost[best]
        distance = np.minimum(distance, ((x - x[best]) ** 2).sum(axis=1))
    return np.array(chosen, dtype=int)


def _standardised(x: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features at zero mean and unit spread of those to choose from."""
    mean, spread = x.astype(np.float64).mean(axis=0), x.astype(np.float64).std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    known = known[np.isfinite(known).all(axis=1)] if len(known) else known.reshape(0, x.shape[1])
    return (x - mean) / spread, (known - mean) / spread


_STRATEGIES: dict[str, Callable[[Pool, float, int], np.ndarray]] = {
    "mix": _mix,
    "uncertainty": _uncertainty,
    "diversity": _diversity,
    "random": _random,
}
