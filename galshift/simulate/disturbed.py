"""Disturbed galaxies: one lopsided disc with tails, torn by a galaxy that gives no light; of ten classes."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate.merger import Merger


@KINDS.register("disturbed")
class Disturbed(Merger):
    """One disc after an encounter, without the galaxy that it met.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws what `Merger` does.
    """

    version = 1

    def _shares(self) -> np.ndarray:
        """Of the light: all is the first galaxy's."""
        return np.array([1.0, 0.0])
