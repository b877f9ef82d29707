"""How far apart two sets of features lie: three distances, each with what chance alone would give.

One image of each galaxy is used, and as many galaxies of either set, so that views of one galaxy do not pass
for independent evidence and numbers are comparable between sets of different size.

- Proxy A-distance, ``2 (1 - 2 error)`` of a cross-validated linear domain classifier (Ben-David et al. 2007;
  Ganin et al. 2016, arXiv:1505.07818, section 2), in [0, 2]; 0 is chance, 2 is told apart without error.
- Squared MMD, unbiased (Gretton et al. 2012, JMLR 13:723, eq. 3), Gaussian kernel with the median pooled
  distance as bandwidth, and its permutation p-value.
- Frechet distance between two Gaussians (Dowson & Landau 1982), covariances shrunk (Ledoit & Wolf 2004),
  beside its median over random relabellings of the same images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.streams import numpy_stream

_FOLDS = 5
_RELABELLINGS = 20


def domain_gap(
    features_a: np.ndarray,
    features_b: np.ndarray,
    *,
    groups_a: np.ndarray | None = None,
    groups_b: np.ndarray | None = None,
    max_per_domain: int = 1000,
    n_permutations: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return every distance between two sets of features.

    Parameters
    ----------
    features_a, features_b : ndarray
        (N, D) and (M, D); rows that are not finite are left out.
    groups_a, groups_b : ndarray of str, optional
        The galaxy of each row; one that stands in both sets is kept on one side of every fold.
    max_per_domain : int
        At most as many galaxies of either set.
    n_permutations : int
        For the p-value of the MMD, which cannot be below ``1 / (n_permutations + 1)``.
    seed : int

    Returns
    -------
    dict
        ``n_per_domain``, ``proxy_a_distance``, ``domain_classifier_error``, ``mmd2``, ``mmd2_p``,
        ``mmd_bandwidth``, ``frechet``, ``frechet_by_chance``, ``n_permutations``.

    Raises
    ------
    DataError
        When either set has fewer than 10 galaxies, or the feature dimensions differ.
    """
    a, in_a = _one_each(features_a, groups_a, seed, "a")
    b, in_b = _one_each(features_b, groups_b, seed, "b")
    if a.shape[1] != b.shape[1]:
        raise DataError(f"features of {a.shape[1]} and {b.shape[1]} dimensions cannot be compared")
    n = min(len(a), len(b), max_per_domain)
    if n < 2 * _FOLDS:
        raise DataError(
            f"a domain gap needs at least {2 * _FOLDS} galaxies in each set; there are {len(a)} and {len(b)}"
        )
    a, b, in_a, in_b = a[:n], b[:n], in_a[:n], in_b[:n]
    pooled = np.concatenate([a, b])
    spread = pooled.std(axis=0)
    pooled = (pooled - pooled.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    error = domain_classifier_error(pooled, np.concatenate([in_a, in_b]), seed=seed)
    mmd2, p_value, bandwidth = mmd_test(pooled[:n], pooled[n:], n_permutations=n_permutations, seed=seed)
    chance = [frechet_distance(*_halves(pooled, seed, i)) for i in range(_RELABELLINGS)]
    return {
        "n_per_domain": n,
        "proxy_a_distance": proxy_a_distance(error),
        "domain_classifier_error": error,
        "mmd2": mmd2,
        "mmd2_p": p_value,
        "mmd_bandwidth": bandwidth,
        "frechet": frechet_distance(pooled[:n], pooled[n:]),
        "frechet_by_chance": float(np.median(chance)),
        "n_permutations": n_permutations,
    }


def proxy_a_distance(error: float) -> float:
    """Return ``2 (1 - 2 error)``, clipped to [0, 2]: a classifier worse than chance has learnt nothing."""
    return float(np.clip(2 * (1 - 2 * error), 0.0, 2.0))


def domain_classifier_error(pooled: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> float:
    """Return the cross-validated error of a logistic regression that tells the halves of `pooled` apart.

    Parameters
    ----------
    pooled : ndarray
        (2n, D); the first n rows are one domain, the others the other.
    groups : ndarray
        (2n,) rows of one group share a fold.
    seed : int
        Of the folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    from galshift.streams import stream_seed

    domain = np.repeat([0, 1], len(pooled) // 2)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=stream_seed(seed, "gap", "folds") % 2**32)
    wrong = 0
    for train, test in folds.split(pooled, domain, groups):
        model = LogisticRegression(C=0.1, max_iter=2000).fit(pooled[train], domain[train])
        wrong += int((model.predict(pooled[test]) != domain[test]).sum())
    return wrong / len(pooled)


def mmd_test(
    a: np.ndarray, b: np.ndarray, *, n_permutations: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Return the unbiased squared MMD, its permutation p-value and the kernel's bandwidth.

    The kernel is ``exp(-d^2 / (2 h^2))`` with h the median distance of the pooled sample, fixed before any
    relabelling.  The value may be slightly negative where the sets agree.

    Parameters
    ----------
    a, b : ndarray
        (n, D) and (m, D).
    """
    from scipy.spatial.distance import pdist, squareform

    pooled = np.concatenate([a, b])
    distances = pdist(pooled)
    bandwidth = float(np.median(distances)) or 1.0
    kernel = squareform(np.exp(-(distances**2) / (2 * bandwidth**2)))  # zero diagonal: the unbiased form
    generator = numpy_stream(seed, "gap", "permutations")
    chosen = np.zeros((n_permutations + 1, len(pooled)))
    chosen[0, : len(a)] = 1
    for row in chosen[1:]:
        row[generator.permutation(len(pooled))[: len(a)]] = 1
    within_a = ((chosen @ kernel) * chosen).sum(axis=1)
    within_b = (((1 - chosen) @ kernel) * (1 - chosen)).sum(axis=1)
    between = (kernel.sum() - within_a - within_b) / 2
    n, m = len(a), len(b)
    values = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * between / (n * m)
    # The tolerance counts the identical relabelling as a tie whatever the order of summation.
    as_large = int((values[1:] >= values[0] - 1e-12).sum())
    return float(values[0]), (as_large + 1) / (n_permutations + 1), bandwidth


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Frechet distance of (N, D) and (M, D) as Gaussians of Ledoit-Wolf covariances.

    ``|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2)``, in units of the features squared.
    """
    from sklearn.covariance import ledoit_wolf

    if a.shape[1] > len(a) + len(b):
        return _frechet_of_few(a, b)
    mean = a.mean(axis=0) - b.mean(axis=0)
    cov_a, cov_b = ledoit_wolf(a)[0], ledoit_wolf(b)[0]
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    return float(max(mean @ mean + np.trace(cov_a) + np.trace(cov_b) - 2 * cross, 0.0))


def _frechet_of_few(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Frechet distance of fewer rows than columns, by algebra in the rows' span.

    Outside of the span of all rows both covariances are multiples of the identity, by shrinkage.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    mean, n_columns = a.mean(axis=0) - b.mean(axis=0), a.shape[1]
    centred = [x - x.mean(axis=0) for x in (a, b)]
    basis = np.linalg.qr(np.concatenate(centred).T)[0]
    covariances, spreads, traces = [], [], []
    for rows in centred:
        shrinkage, inside = ledoit_wolf_shrinkage(rows), rows @ basis
        own = inside.T @ inside / len(rows)
        spread = shrinkage * np.trace(own) / n_columns
        covariances.append((1 - shrinkage) * own + spread * np.eye(len(own)))
        spreads.append(spread)
        traces.append(np.trace(own))
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariances[1] @ root), 0)).sum()
    cross += (n_columns - basis.shape[1]) * np.sqrt(spreads[0] * spreads[1])
    return float(max(mean @ mean + sum(traces) - 2 * cross, 0.0))


def gap_sentence(gap: Mapping[str, Any]) -> str:
    """Return one plain sentence about a gap."""
    distance, error, p = gap["proxy_a_distance"], gap["domain_classifier_error"], gap["mmd2_p"]
    right = f"a linear classifier tells the two sets apart for {1 - error:.0%} of galaxies it had not seen"
    if distance < 0.2 and p > 0.05:
        return f"The two sets are hard to tell apart: {right} (chance is 50%)."
    if distance < 0.8:
        return f"The two sets differ somewhat: {right} (chance is 50%; MMD p = {p:.2g})."
    return f"The two sets are clearly different: {right} (chance is 50%; MMD p = {p:.2g})."


def _one_each(
    features: np.ndarray, groups: np.ndarray | None, seed: int, side: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return one finite row of each group, in an order drawn from `seed`, and its group."""
    features = np.asarray(features, dtype=np.float64)
    names = np.array([f"{side}{i}" for i in range(len(features))]) if groups is None else np.asarray(groups)
    finite = np.isfinite(features).all(axis=1)
    features, names = features[finite], names[finite].astype(str)
    order = np.argsort(names, kind="stable")
    order = order[numpy_stream(seed, "gap", "sample", side).permutation(len(order))]
    kept = order[np.sort(np.unique(names[order], return_index=True)[1])]
    return features[kept], names[kept]


def _halves(pooled: np.ndarray, seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    order = numpy_stream(seed, "gap", "halves", index).permutation(len(pooled))
    half = len(pooled) // 2
    return pooled[order[:half]], pooled[order[half:]]
