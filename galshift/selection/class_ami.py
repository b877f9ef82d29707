"""ClassAMI: whether target predictions agree with the clusters of target features; for classes of like size.

References
----------
Musgrave et al. 2022 (arXiv:2208.07360).
"""

from __future__ import annotations

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._clusters import agreement, cluster


@SELECTORS.register("class-ami")
class ClassAMI(Selector):
    """Adjusted mutual information of predictions and k-means clusters (k = K) of target features."""

    reference = "Musgrave et al. 2022, arXiv:2208.07360"

    def score(self, candidate: Candidate) -> float:
        """Return the agreement, at most 1; 0 when one class is predicted for everything."""
        clusters = cluster(candidate.features_target, candidate.n_classes)
        return agreement(candidate.predictions_target, clusters)
