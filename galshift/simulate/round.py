"""Round ellipticals: nearly spherical, and round from every side; a class of the ten-class task."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate.elliptical import Elliptical


@KINDS.register("round")
class Round(Elliptical):
    """One round elliptical.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws what `Elliptical` does, and semi-axes within a tenth of one another.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        middle = rng.uniform(0.95, 1.0)
        self.axes = (1.0, middle, middle * rng.uniform(0.95, 1.0))
