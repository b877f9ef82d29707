"""Loosely wound spirals: open arms full of young stars, a small bulge, no bar; of the ten-class task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._disc import draw_disc
from galshift.simulate._light import Frame
from galshift.simulate.spiral import disc_truth, disc_view


@KINDS.register("spiral-loose")
class SpiralLoose:
    """One spiral without a bar whose arms are wide open.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws two arms of pitch 0.38-0.60 rad (22-34 degrees), sharp and young, and a bulge of
        4-20 % of the old light.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        disc = draw_disc(rng, bar=None, number=2, young_share=rng.uniform(0.35, 0.65))
        arms = replace(
            disc.arms, pitch=rng.uniform(0.38, 0.60), old=rng.uniform(0.4, 0.7), sharpness=rng.uniform(2, 6)
        )
        self.disc = replace(disc, arms=arms, bulge_share=rng.uniform(0.04, 0.2))

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the galaxy itself."""
        return disc_truth(self.disc)

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the dust-free r-band light, and the columns of this view."""
        return disc_view(self.disc, rng, frame, least_cos=0.5)
