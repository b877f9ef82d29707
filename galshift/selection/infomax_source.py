"""Default among epochs: information of target predictions, source validation, and the class mix where known.

Within one run no candidate has an advantage by what it optimises, which InfoMax does not survive between
methods; the source's share keeps an epoch from being chosen for confidence alone.  Where another class mix of
the target is credible, epochs that drift from it lose.  Weighed by ``tests/benchmarks/transfer.py``.
"""

from __future__ import annotations

import math

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._scores import balanced_accuracy, mutual_information
from galshift.selection.label_shift import class_mix, total_variation

SOURCE_WEIGHT = 0.5
MIX_WEIGHT = 3.0


@SELECTORS.register("infomax-source")
class InfoMaxSource(Selector):
    """InfoMax over ln K, plus half the source's balanced accuracy, less three times the error of the mix."""

    reference = "Shi & Sha 2012, arXiv:1206.6438; Musgrave et al. 2022, arXiv:2208.07360"

    def score(self, candidate: Candidate) -> float:
        """Return the sum, at most 1.5; the error is the total variation of predicted and known mix."""
        k = candidate.n_classes
        score = mutual_information(candidate.probabilities_target) / math.log(k)
        if candidate.has_source:
            predictions = candidate.logits_source_val.argmax(axis=1)
            score += SOURCE_WEIGHT * balanced_accuracy(candidate.labels_source_val, predictions, k)
        if candidate.prior_target is not None:
            predicted = class_mix(candidate.predictions_target, k)
            score -= MIX_WEIGHT * total_variation(predicted, candidate.prior_target)
        return score
