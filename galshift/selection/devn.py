"""DEVN: DEV with weights scaled to a maximum of one, which a few huge weights cannot rule.

References
----------
Musgrave et al. 2022 (arXiv:2208.07360).
"""

from __future__ import annotations

import numpy as np

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._density_ratio import density_ratio, weighted_risk


def normalised(weights: np.ndarray) -> np.ndarray:
    """Return weights (M,) over their maximum, shifted to a mean of 1."""
    scaled = weights / weights.max()
    return scaled - scaled.mean() + 1


@SELECTORS.register("devn")
class DEVN(Selector):
    """Minus the weighted error of source validation images, with normalised weights."""

    reference = "Musgrave et al. 2022, arXiv:2208.07360"
    needs_source = True

    def score(self, candidate: Candidate) -> float:
        """Return minus the risk."""
        errors = (candidate.logits_source_val.argmax(axis=1) != candidate.labels_source_val).astype(float)
        weights = density_ratio(candidate.features_source_val, candidate.features_target)
        return -weighted_risk(errors, normalised(weights))
