"""UMAP: neighbourhoods with more of the large picture than t-SNE; needs the extra galshift[umap]."""

from __future__ import annotations

import warnings

import numpy as np
from pydantic import Field

from galshift.embedding.reducers import REDUCERS
from galshift.embedding.reducers._base import Reducer
from galshift.embedding.reducers._prepare import degenerate, planar, standardised
from galshift.errors import ResourceError
from galshift.streams import stream_seed
from galshift.types import Strict


@REDUCERS.register("umap")
class Umap(Reducer):
    """Uniform manifold approximation (McInnes et al. 2018, arXiv:1802.03426); seeded, so on one thread."""

    version = 1

    class Config(Strict):
        """Options of UMAP."""

        neighbors: int = Field(15, ge=2, description="Neighbours that set the local scale.")
        min_dist: float = Field(0.1, ge=0, le=1, description="Smallest distance of points on the map.")

    def reduce(self, features: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return (N, 2) coordinates of (N, D) features.

        Raises
        ------
        ResourceError
            When umap-learn is not installed.
        """
        umap_type = _umap_type()
        scaled = standardised(features)
        if degenerate(scaled):
            return planar(scaled)
        model = umap_type(
            n_neighbors=min(self.config.neighbors, len(scaled) - 1),
            min_dist=self.config.min_dist,
            init="pca" if len(scaled) < 50 else "spectral",
            random_state=stream_seed(seed, "embed", "umap") % 2**32,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(scaled), dtype=np.float64)


def _umap_type() -> type:
    """The UMAP class, or a ResourceError that says how to get it."""
    try:
        with warnings.catch_warnings():
            # On import it regrets the lack of TensorFlow, which only its parametric variant needs.
            warnings.simplefilter("ignore")
            from umap import UMAP
    except ImportError:
        raise ResourceError(
            "UMAP needs the umap-learn package",
            where="--reduce umap",
            hint="pip install 'galshift[umap]', or use --reduce tsne",
        ) from None
    return UMAP
