"""Edge-on discs without a bulge: thin from end to end; a class of the ten-class task."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate.edge_on import EdgeOn


@KINDS.register("edge-on-no-bulge")
class EdgeOnNoBulge(EdgeOn):
    """One edge-on disc galaxy without a bulge.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws what `EdgeOn` does, and a scale height of 0.08-0.15 scale lengths.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.bulge_share = 0.0
        self.height = rng.uniform(0.08, 0.15)
        self.young_height = 0.4 * self.height
        self.dust_height = rng.uniform(0.12, 0.25) * self.height
