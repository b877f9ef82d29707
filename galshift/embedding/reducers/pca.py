"""Principal components: linear, quick, the same every time; far points are really far."""

from __future__ import annotations

import numpy as np

from galshift.embedding.reducers import REDUCERS
from galshift.embedding.reducers._base import Reducer
from galshift.embedding.reducers._prepare import degenerate, planar, standardised
from galshift.types import Strict


@REDUCERS.register("pca")
class Pca(Reducer):
    """The two directions of largest variance (Pearson 1901)."""

    version = 1

    class Config(Strict):
        """Nothing to choose."""

    def reduce(self, features: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return (N, 2) coordinates of (N, D) features; `seed` is not used."""
        from sklearn.decomposition import PCA

        scaled = standardised(features, max_dimensions=features.shape[1])
        if degenerate(scaled):
            return planar(scaled)
        return planar(PCA(min(2, *scaled.shape), svd_solver="full", copy=False).fit_transform(scaled))
