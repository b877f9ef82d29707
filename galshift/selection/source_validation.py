"""Balanced accuracy on held-out source images: blind to the target, and hard to beat.

References
----------
Musgrave et al. 2022 (arXiv:2208.07360): often the best validator of all where domains are not far apart.
"""

from __future__ import annotations

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._scores import balanced_accuracy


@SELECTORS.register("source-validation")
class SourceValidation(Selector):
    """Mean recall over classes on the source's validation images."""

    reference = "Musgrave et al. 2022, arXiv:2208.07360"
    needs_source = True

    def score(self, candidate: Candidate) -> float:
        """Return the balanced accuracy in [0, 1]."""
        predictions = candidate.logits_source_val.argmax(axis=1)
        return balanced_accuracy(candidate.labels_source_val, predictions, candidate.n_classes)
