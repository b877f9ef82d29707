"""Cigars: prolate ellipticals seen from the side, no disc and no dust; a class of the ten-class task."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._camera import random_rotation
from galshift.simulate.elliptical import Elliptical, projected_ellipse

FLATTEST = 0.5  # axis ratio of the isophotes


@KINDS.register("cigar")
class Cigar(Elliptical):
    """One cigar-shaped elliptical.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws what `Elliptical` does, and a long axis 2.5 to 4 times the others.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        middle = rng.uniform(0.25, 0.4)
        self.axes = (1.0, middle, middle * rng.uniform(0.9, 1.0))

    def project(self, rng: np.random.Generator) -> tuple[float, float]:
        """Return the axis ratio, at most `FLATTEST`, and the angle [rad] that a camera from the side sees."""
        while True:  # three cameras in four see it as long as that
            major, minor, angle = projected_ellipse(self.axes, random_rotation(rng))
            if minor <= FLATTEST * major:
                return minor / major, angle
