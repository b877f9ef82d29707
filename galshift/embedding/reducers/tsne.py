"""t-SNE: shows neighbourhoods; distances between groups mean little."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from galshift.embedding.reducers import REDUCERS
from galshift.embedding.reducers._base import Reducer
from galshift.embedding.reducers._prepare import degenerate, planar, standardised
from galshift.streams import stream_seed
from galshift.types import Strict


@REDUCERS.register("tsne")
class Tsne(Reducer):
    """Barnes-Hut t-SNE from a PCA start (van der Maaten 2014, JMLR 15:3221)."""

    version = 1

    class Config(Strict):
        """Options of t-SNE."""

        perplexity: float = Field(30.0, gt=1, description="Effective number of neighbours.")
        iterations: int = Field(1000, ge=300, description="Gradient steps.")

    def reduce(self, features: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return (N, 2) coordinates of (N, D) features; the perplexity is lowered for few points."""
        from sklearn.manifold import TSNE

        scaled = standardised(features)
        if degenerate(scaled):
            return planar(scaled)
        model = TSNE(
            n_components=2,
            perplexity=min(self.config.perplexity, (len(scaled) - 1) / 3),
            max_iter=self.config.iterations,
            init="pca" if min(scaled.shape) >= 2 else "random",
            random_state=stream_seed(seed, "embed", "tsne") % 2**32,
        )
        return model.fit_transform(scaled)
