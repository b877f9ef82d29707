"""SND: soft neighbourhood density of target predictions; blind to collapse onto one class.

References
----------
Saito et al. 2021 (ICCV, arXiv:2108.10860).
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Selector
from galshift.selection._scores import entropy

TEMPERATURE = 0.05
_CHUNK = 1024


def neighbourhood_density(p: np.ndarray, temperature: float = TEMPERATURE) -> float:
    """Return the mean entropy of each image's similarity to all others.

    Parameters
    ----------
    p : ndarray
        (N, K) predictions; cosines between their rows are compared.
    temperature : float
        Divides the cosines.

    Returns
    -------
    float
        In [0, ln(N - 1)], which one point for all images reaches; NaN for fewer than two images.
    """
    if len(p) < 2:
        return float("nan")
    unit = p / np.linalg.norm(p, axis=1, keepdims=True).clip(1e-12)
    total = 0.0
    for start in range(0, len(unit), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(unit)))
        similarity = unit[rows] @ unit.T / temperature
        similarity[rows - start, rows] = -np.inf
        total += float(entropy(softmax(similarity, axis=1)).sum())
    return total / len(unit)


@SELECTORS.register("snd")
class SND(Selector):
    """Target images that lie in dense neighbourhoods of like predictions."""

    reference = "Saito et al. 2021, arXiv:2108.10860"

    def score(self, candidate: Candidate) -> float:
        """Return :func:`neighbourhood_density`."""
        return neighbourhood_density(candidate.probabilities_target)
