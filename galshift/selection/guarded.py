"""What holds up on the source, by how well predictions match clusters of features, classes counting alike.

ClassAMI (Musgrave et al. 2022, arXiv:2208.07360) assumes classes of like size, and a common class then
drowns the others.  Here every predicted class counts the same, however rare it is in the target: each image
is weighed by one over the estimated share of its class, which is that of the predictions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Measured, Selector
from galshift.selection._clusters import agreement, cluster
from galshift.selection._scores import balanced_accuracy
from galshift.selection.label_shift import class_mix

SHORTFALL = 0.05  # of source balanced accuracy behind the best of the pool, beyond chance


@SELECTORS.register("guarded")
class Guarded(Selector):
    """ClassAMI with classes of equal weight, among the candidates that hold up on the source."""

    reference = "Musgrave et al. 2022, arXiv:2208.07360"
    pooled = True
    # Measured by tests/benchmarks/transfer.py: smaller gains over source-only are as often losses.
    margin = 0.2

    def score(self, candidate: Candidate) -> float:
        """Return the agreement of predictions and clusters, at most 1, predicted classes counting alike."""
        k = candidate.n_classes
        share = class_mix(candidate.predictions_target, k)
        weights = np.divide(1 / k, share, out=np.zeros(k), where=share > 0)
        return agreement(candidate.predictions_target, cluster(candidate.features_target, k), weights)

    def measure(self, candidate: Candidate) -> Measured:
        """Return the agreement, and the source's balanced accuracy with its standard error."""
        if not candidate.usable:
            return {"agreement": -np.inf, "source": float("nan"), "error": 0.0}
        source = error = float("nan")
        if candidate.has_source:
            labels, k = candidate.labels_source_val, candidate.n_classes
            source = balanced_accuracy(labels, candidate.logits_source_val.argmax(axis=1), k)
            error = float(np.sqrt(source * (1 - source) / len(labels)))
        return {"agreement": self.score(candidate), "source": source, "error": error}

    def compare(self, measured: Sequence[Measured]) -> np.ndarray:
        """Return the agreement (n,), -inf for what falls short on the source by more than chance."""
        scores, source, error = (
            np.array([one[name] for one in measured], dtype=float)
            for name in ("agreement", "source", "error")
        )
        if np.isfinite(source).any():
            best = int(np.nanargmax(source))
            scores[source < source[best] - SHORTFALL - error[best]] = -np.inf
        return scores
