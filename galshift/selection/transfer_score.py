"""Transfer Score: even class directions, features that cluster, and informative predictions, added up.

References
----------
Yang et al. 2024 (ICLR, arXiv:2305.18712).
"""

from __future__ import annotations

import numpy as np

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._scores import classifier_weights, mutual_information

SAMPLE = 500


def unevenness(weights: np.ndarray) -> float:
    """Return how far the angles between class directions (K, D) are from all being the widest possible.

    The mean over pairs of ``|angle - arccos(-1 / (K - 1))|`` [rad]; 0 for a regular simplex.
    """
    k = len(weights)
    unit = weights / np.linalg.norm(weights, axis=1, keepdims=True).clip(1e-12)
    cosines = (unit @ unit.T)[np.triu_indices(k, 1)]
    angles = np.arccos(np.clip(cosines, -1, 1))
    return float(np.abs(angles - np.arccos(-1 / (k - 1))).mean()) if k > 1 else 0.0


def hopkins(features: np.ndarray, sample: int = SAMPLE, seed: int = 0) -> float:
    """Return the Hopkins statistic of (N, D) features: 0.5 for an even spread, towards 1 for clusters.

    Distances from random points in the features' box to their nearest feature, against those from random
    features to their nearest other.  0.5 where all features coincide.
    """
    from scipy.spatial import cKDTree

    n = min(sample, len(features) // 2)
    if n < 1:
        return 0.5
    rng = np.random.default_rng(seed)
    low, high = features.min(axis=0), features.max(axis=0)
    tree = cKDTree(features)
    from_space = tree.query(rng.uniform(low, high, (n, features.shape[1])))[0].sum()
    chosen = rng.choice(len(features), n, replace=False)
    from_data = tree.query(features[chosen], k=2)[0][:, 1].sum()
    total = from_space + from_data
    return float(from_space / total) if total > 0 else 0.5


@SELECTORS.register("transfer-score")
class TransferScore(Selector):
    """Minus the classifier's unevenness, plus the Hopkins statistic, plus mutual information / ln K."""

    reference = "Yang et al. 2024, arXiv:2305.18712"

    def score(self, candidate: Candidate) -> float:
        """Return the sum of the three parts; the classifier's weights are found by least squares."""
        features, logits = candidate.features_target, candidate.logits_target
        if candidate.has_source:
            features = np.concatenate([features, candidate.features_source_val])
            logits = np.concatenate([logits, candidate.logits_source_val])
        weights = classifier_weights(features, logits)
        information = mutual_information(candidate.probabilities_target) / np.log(candidate.n_classes)
        return -unevenness(weights) + hopkins(candidate.features_target) + information
