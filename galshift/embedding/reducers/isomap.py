"""Isomap: keeps distances measured along the sheet that the galaxies lie on."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from galshift.embedding.reducers import REDUCERS
from galshift.embedding.reducers._base import Reducer
from galshift.embedding.reducers._prepare import degenerate, planar, standardised
from galshift.streams import numpy_stream
from galshift.types import Strict


@REDUCERS.register("isomap")
class Isomap(Reducer):
    """Geodesic distances over a neighbour graph, then multidimensional scaling (Tenenbaum et al. 2000).

    The distance matrix grows with the square of the points, so that the sheet is found from at most
    ``max_points`` of them and the others are placed on it.
    """

    version = 1

    class Config(Strict):
        """Options of Isomap."""

        neighbors: int = Field(10, ge=2, description="Neighbours of each point in the graph.")
        max_points: int = Field(5000, ge=100, description="Points from which the sheet is found.")

    def reduce(self, features: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return (N, 2) coordinates of (N, D) features."""
        import warnings

        from sklearn.manifold import Isomap as ScikitIsomap

        scaled = standardised(features)
        if degenerate(scaled):
            return planar(scaled)
        order = numpy_stream(seed, "embed", "isomap").permutation(len(scaled))
        chosen = np.sort(order[: self.config.max_points])
        model = ScikitIsomap(n_components=2, n_neighbors=min(self.config.neighbors, len(chosen) - 1))
        with warnings.catch_warnings():
            # Separate islands are joined by their shortest bridge; that is wanted and needs no warning.
            warnings.filterwarnings("ignore", message=".*connected components.*")
            warnings.filterwarnings("ignore", category=Warning, module="scipy.sparse")
            model.fit(scaled[chosen])
        points = np.empty((len(scaled), 2))
        points[chosen] = planar(model.embedding_)
        rest = np.setdiff1d(np.arange(len(scaled)), chosen)
        if rest.size:
            points[rest] = planar(model.transform(scaled[rest]))
        return points
