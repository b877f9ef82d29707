"""Edge-on discs with a bulge that stands out of the disc on both sides; a class of the ten-class task."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate.edge_on import EdgeOn


@KINDS.register("edge-on-bulge")
class EdgeOnBulge(EdgeOn):
    """One edge-on disc galaxy with a bulge.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws what `EdgeOn` does, and a nearly round bulge of 35-65 % of the old light and
        0.35-0.6 scale lengths.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.bulge_share = rng.uniform(0.35, 0.65)
        self.bulge_radius = rng.uniform(0.35, 0.6)
        self.flattening = rng.uniform(0.7, 0.95)
