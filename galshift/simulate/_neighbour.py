"""Galaxies that happen to lie beside the one that an image is about: the pairs that are not mergers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galshift.simulate._light import Frame
from galshift.simulate._sersic import sersic_image

CHANCE = 0.4  # of a neighbour, the same for every class


@dataclass(frozen=True)
class Neighbour:
    """A smooth galaxy seen by chance near another.

    Attributes
    ----------
    light : float
        r-band light over the main galaxy's.
    n, r_eff_kpc, young_share : float
        Sérsic index, effective radius, and share of young light in r.
    distance_kpc : float
        Projected distance.
    """

    light: float
    n: float
    r_eff_kpc: float
    young_share: float
    distance_kpc: float

    def image(self, rng: np.random.Generator, frame: Frame) -> np.ndarray:
        """Return (C, S, S) light in units of the main galaxy's, at a random place of this distance."""
        turn = rng.uniform(0, 2 * np.pi)
        reach = self.distance_kpc / frame.kpc_per_pixel
        shape = sersic_image(
            frame.size,
            n=self.n,
            r_eff=self.r_eff_kpc / frame.kpc_per_pixel,
            axis_ratio=rng.uniform(0.4, 1.0),
            angle=rng.uniform(0, np.pi),
            centre=(reach * np.cos(turn), reach * np.sin(turn)),
        )
        colour = (1 - self.young_share) * frame.old() + self.young_share * frame.young()
        return (self.light * colour).astype(np.float32)[:, None, None] * shape


def draw_neighbour(rng: np.random.Generator) -> Neighbour | None:
    """Return a neighbour in `CHANCE` of the cases."""
    if rng.uniform() > CHANCE:
        return None
    light = float(np.exp(rng.uniform(np.log(0.06), np.log(0.8))))
    return Neighbour(
        light=light,
        n=round(rng.uniform(1.0, 4.0), 3),
        r_eff_kpc=rng.uniform(1.5, 4.5) * light**0.35,
        young_share=rng.uniform(0.0, 0.6),
        distance_kpc=rng.uniform(7.0, 30.0),
    )
