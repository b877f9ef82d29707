"""How well a network's predictions agree with the clusters that its features form by themselves."""

from __future__ import annotations

import warnings

import numpy as np

SEED = 0


def cluster(features: np.ndarray, k: int, weights: np.ndarray | None = None, seed: int = SEED) -> np.ndarray:
    """Return the k-means cluster (N,) of each of (N, D) features; fewer clusters where points coincide."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    k = min(k, len(features))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(k, n_init=10, random_state=seed).fit(features, sample_weight=weights).labels_


def agreement(
    predictions: np.ndarray, clusters: np.ndarray, class_weights: np.ndarray | None = None
) -> float:
    """Return the adjusted mutual information of predictions and clusters, at most 1, about 0 by chance.

    Parameters
    ----------
    predictions, clusters : ndarray
        (N,) integers.
    class_weights : ndarray, optional
        (K,) how much an image counts that is predicted as each class, as a share of its own weight: the table
        of predictions against clusters is weighed by it and rounded to whole images.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    if len(np.unique(predictions)) < 2:
        return 0.0  # one class for everything says nothing, even where there is one cluster only
    if class_weights is None:
        return float(adjusted_mutual_info_score(predictions, clusters))
    table = np.zeros((len(class_weights), int(clusters.max()) + 1))
    np.add.at(table, (predictions, clusters), 1)
    table *= class_weights[:, None]
    counts = np.rint(table * len(predictions) / table.sum()).astype(int)
    rows, columns = np.indices(counts.shape)
    labels = [np.repeat(index.ravel(), counts.ravel()) for index in (rows, columns)]
    return float(adjusted_mutual_info_score(*labels))
