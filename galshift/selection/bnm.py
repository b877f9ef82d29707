"""BNM: the nuclear norm of target predictions; favours methods that maximise it.

References
----------
Cui et al. 2020 (CVPR, arXiv:2003.12237); as a validator Musgrave et al. 2022 (arXiv:2208.07360).
"""

from __future__ import annotations

import numpy as np

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector


@SELECTORS.register("bnm")
class BNM(Selector):
    """Confident and diverse predictions, as the sum of the singular values of (N, K) probabilities."""

    reference = "Cui et al. 2020, arXiv:2003.12237"

    def score(self, candidate: Candidate) -> float:
        """Return the nuclear norm over ``sqrt(N K)``, at most 1: balanced one-hot predictions."""
        p = candidate.probabilities_target
        return float(np.linalg.svd(p, compute_uv=False).sum() / np.sqrt(p.size))
