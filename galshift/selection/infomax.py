"""InfoMax: mutual information between target images and predictions; favours methods that maximise it.

References
----------
Shi & Sha 2012 (ICML, arXiv:1206.6438); as a validator Musgrave et al. 2022 (arXiv:2208.07360).
"""

from __future__ import annotations

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._scores import mutual_information


@SELECTORS.register("infomax")
class InfoMax(Selector):
    """Confident predictions that are spread over the classes."""

    reference = "Shi & Sha 2012, arXiv:1206.6438"

    def score(self, candidate: Candidate) -> float:
        """Return ``H(mean p) - mean H(p)`` in [0, ln K]."""
        return mutual_information(candidate.probabilities_target)
