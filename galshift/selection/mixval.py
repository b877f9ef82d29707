"""MixVal: whether mixtures of two target images are predicted as the one that dominates; blind to collapse.

References
----------
Hu et al. 2023 (NeurIPS), "Mixed samples as probes for unsupervised model selection in domain adaptation".
"""

from __future__ import annotations

import numpy as np

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector

SHARE = 0.55


def mixture_accuracy(
    predictions: np.ndarray, first: np.ndarray, found: np.ndarray, same: np.ndarray
) -> float:
    """Return the mean of the accuracies over pairs of one predicted class and of two, where there are such.

    Parameters
    ----------
    predictions : ndarray
        (N,) classes predicted for the images themselves.
    first : ndarray
        (P,) the image that dominates each mixture.
    found : ndarray
        (P,) classes predicted for the mixtures.
    same : ndarray
        (P,) bool; whether both images of a pair have the same prediction.
    """
    right = found == predictions[first]
    parts = [right[chosen].mean() for chosen in (same, ~same) if chosen.any()]
    return float(np.mean(parts))


@SELECTORS.register("mixval")
class MixVal(Selector):
    """Accuracy on mixtures of target images, 55 % of one and 45 % of another, against its own predictions."""

    reference = "Hu et al. 2023, NeurIPS"

    def score(self, candidate: Candidate) -> float:
        """Return the accuracy in [0, 1], the mean over pairs within a predicted class and across classes."""
        n = len(candidate.logits_target)
        first, second = np.arange(n), np.random.default_rng(0).permutation(n)
        if candidate.mixed is None:
            logits = candidate.logits_target
            mixed = SHARE * logits[first] + (1 - SHARE) * logits[second]
        else:
            mixed = np.asarray(candidate.mixed(first, second, SHARE))
        predictions = candidate.predictions_target
        same = predictions[first] == predictions[second]
        return mixture_accuracy(predictions, first, mixed.argmax(axis=1), same)
