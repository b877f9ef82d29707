"""EnsV, default among methods: agreement with the mean prediction of all; avoids the worst unless most fail.

References
----------
EnsV, NeurIPS 2024 Datasets and Benchmarks; the role
model is the mean softmax of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galshift.errors import DataError
from galshift.selection import SELECTORS
from galshift.selection._base import Candidate, Measured, Selector


def role_model(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Return the most probable class (N,) of the mean of the candidates' (N, K) predictions.

    Raises
    ------
    DataError
        When the candidates saw different images.
    """
    if len({p.shape for p in probabilities}) > 1:
        raise DataError("candidates can only vote on the same target images")
    return np.mean(probabilities, axis=0).argmax(axis=1)


@SELECTORS.register("ensv")
class EnsV(Selector):
    """Share of target images on which a candidate says what the whole pool says."""

    reference = "EnsV, NeurIPS 2024 Datasets and Benchmarks"
    pooled = True
    # Measured by tests/benchmarks/transfer.py: less is chance as often as not.
    margin = 0.02

    def score(self, candidate: Candidate) -> float:
        """Return 1: alone, a candidate agrees with itself."""
        return 1.0

    def measure(self, candidate: Candidate) -> Measured:
        """Return the target predictions, in single precision."""
        return {
            "probabilities": candidate.probabilities_target.astype(np.float32) if candidate.usable else None
        }

    def compare(self, measured: Sequence[Measured]) -> np.ndarray:
        """Return the agreement (n,) with the role model, in [0, 1]; -inf for outputs that are not finite."""
        kept = [one["probabilities"] for one in measured if one["probabilities"] is not None]
        if not kept:
            return np.full(len(measured), -np.inf)
        labels = role_model(kept)
        return np.array(
            [
                -np.inf
                if one["probabilities"] is None
                else float((one["probabilities"].argmax(axis=1) == labels).mean())
                for one in measured
            ]
        )
