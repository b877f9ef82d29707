"""Default among epochs: information of target predictions, plus half the source's validation accuracy.

Within one run no candidate has an advantage by what it optimises, which InfoMax does not survive between
methods; the source's share keeps an epoch from being chosen for confidence alone.  Weighed by
``tests/benchmarks/transfer.py``.
"""

from __future__ import annotations

import math

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._scores import balanced_accuracy, mutual_information

SOURCE_WEIGHT = 0.5


@SELECTORS.register("infomax-source")
class InfoMaxSource(Selector):
    """InfoMax over ln K, plus half the balanced accuracy on the source where it has labels."""

    reference = "Shi & Sha 2012, arXiv:1206.6438; Musgrave et al. 2022, arXiv:2208.07360"

    def score(self, candidate: Candidate) -> float:
        """Return the sum, in [0, 1.5]."""
        k = candidate.n_classes
        information = mutual_information(candidate.probabilities_target) / math.log(k)
        if not candidate.has_source:
            return information
        predictions = candidate.logits_source_val.argmax(axis=1)
        return information + SOURCE_WEIGHT * balanced_accuracy(candidate.labels_source_val, predictions, k)
