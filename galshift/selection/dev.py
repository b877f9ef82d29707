"""DEV: source validation error weighed towards the target; unreliable when domains are far apart.

References
----------
You et al. 2019 (ICML, PMLR 97:7124).
"""

from __future__ import annotations

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._density_ratio import density_ratio, weighted_risk


@SELECTORS.register("dev")
class DEV(Selector):
    """Minus the importance-weighted error of source validation images, by densities in feature space."""

    reference = "You et al. 2019, PMLR 97:7124"
    needs_source = True

    def score(self, candidate: Candidate) -> float:
        """Return minus the deep embedded validation risk; it can leave [-1, 0]."""
        errors = (candidate.logits_source_val.argmax(axis=1) != candidate.labels_source_val).astype(float)
        weights = density_ratio(candidate.features_source_val, candidate.features_target)
        return -weighted_risk(errors, weights)
