"""Barred spirals: a strong bar with two arms from its ends; a class for studies to hold back."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._disc import Bar, draw_disc
from galshift.simulate._light import Frame
from galshift.simulate.spiral import disc_truth, disc_view


@KINDS.register("barred")
class Barred:
    """One strongly barred spiral.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws a bar of half length 1.1-1.8 disc scale lengths, axis ratio 0.2-0.35 and 15-35 % of
        the old light, with two arms.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        bar = Bar(rng.uniform(1.1, 1.8), rng.uniform(0.2, 0.35), rng.uniform(0.15, 0.35))
        self.disc = draw_disc(rng, bar=bar, number=2, young_share=rng.uniform(0.2, 0.5))

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the galaxy itself."""
        return disc_truth(self.disc)

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the dust-free r-band light, and the columns of this view."""
        return disc_view(self.disc, rng, frame, least_cos=0.45)
