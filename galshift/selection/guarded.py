"""Default: drop what fails on the source or loses a class, then rank by agreement with clusters.

ClassAMI (Musgrave et al. 2022, arXiv:2208.07360) assumes classes of like size; here predictions are weighed
so that every class counts by the estimated class mix (:mod:`galshift.selection.label_shift`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Measured, Selector
from galshift.selection._clusters import agreement, cluster
from galshift.selection._scores import balanced_accuracy

SHORTFALL = 0.05  # of source balanced accuracy behind the best of the pool


@SELECTORS.register("guarded")
class Guarded(Selector):
    """ClassAMI among the candidates that hold up on the source and predict every class."""

    reference = "Musgrave et al. 2022, arXiv:2208.07360"
    pooled = True

    def score(self, candidate: Candidate) -> float:
        """Return the agreement of predictions and clusters."""
        return float(self.compare([self.measure(candidate)])[0])

    def measure(self, candidate: Candidate) -> Measured:
        """Return the agreement, the source's balanced accuracy and the predicted class mix."""
        if not candidate.usable:
            return {"agreement": -np.inf, "source": float("nan"), "mix": []}
        clusters = cluster(candidate.features_target, candidate.n_classes)
        source = float("nan")
        if candidate.has_source:
            predictions = candidate.logits_source_val.argmax(axis=1)
            source = balanced_accuracy(candidate.labels_source_val, predictions, candidate.n_classes)
        return {"agreement": agreement(candidate.predictions_target, clusters), "source": source}

    def compare(self, measured: Sequence[Measured]) -> np.ndarray:
        """Return the agreement (n,), -inf for what was dropped."""
        scores = np.array([one["agreement"] for one in measured], dtype=float)
        source = np.array([one["source"] for one in measured], dtype=float)
        if np.isfinite(source).any():
            scores[source < np.nanmax(source) - SHORTFALL] = -np.inf
        return scores
