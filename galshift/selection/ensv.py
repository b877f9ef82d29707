"""EnsV, default among methods: agreement with the mean of those that adapted; avoids the worst.

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
    """Share of target images on which a candidate says what those that vote say on the mean."""

    reference = "EnsV, NeurIPS 2024 Datasets and Benchmarks"
    pooled = True

    def score(self, candidate: Candidate) -> float:
        """Return 1: alone, a candidate agrees with itself."""
        return 1.0

    def measure(self, candidate: Candidate) -> Measured:
        """Return the target predictions, in single precision, and whether they vote."""
        told = candidate.probabilities_target.astype(np.float32) if candidate.usable else None
        return {"probabilities": told, "votes": candidate.votes}

    def compare(self, measured: Sequence[Measured]) -> np.ndarray:
        """Return the agreement (n,) with the role model, in [0, 1]; -inf for outputs that are not finite."""
        usable = [one for one in measured if one["probabilities"] is not None]
        if not usable:
            return np.full(len(measured), -np.inf)
        voting = [one for one in usable if one["votes"]]
        # One voice is no pool: it would agree with itself.
        labels = role_model([one["probabilities"] for one in (voting if len(voting) > 1 else usable)])
        return np.array(
            [
                -np.inf
                if one["probabilities"] is None
                else float((one["probabilities"].argmax(axis=1) == labels).mean())
                for one in measured
            ]
        )
