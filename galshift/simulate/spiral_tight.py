"""Tightly wound spirals: arms of small pitch about a large bulge, no bar; a class of the ten-class task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._disc import draw_disc
from galshift.simulate._light import Frame
from galshift.simulate.spiral import disc_truth, disc_view


@KINDS.register("spiral-tight")
class SpiralTight:
    """One spiral without a bar whose arms are wound tightly.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws two arms of pitch 0.12-0.20 rad (7-11 degrees), strong in old stars, and a bulge of
        25-60 % of the old light (early types are wound tightly and bulged: Hubble 1926).
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        disc = draw_disc(rng, bar=None, number=2, young_share=rng.uniform(0.1, 0.4))
        arms = replace(disc.arms, pitch=rng.uniform(0.12, 0.20), old=rng.uniform(0.4, 0.7))
        self.disc = replace(disc, arms=arms, bulge_share=rng.uniform(0.25, 0.6))

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the galaxy itself."""
        return disc_truth(self.disc)

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the dust-free r-band light, and the columns of this view."""
        return disc_view(self.disc, rng, frame, least_cos=0.5)
