"""Spirals: discs with logarithmic arms, clumps and dust lanes, a bulge and, in two of five, a weak bar."""

from __future__ import annotations

import numpy as np

from galshift.simulate import KINDS
from galshift.simulate._disc import Bar, Disc, disc_image, draw_disc
from galshift.simulate._light import Frame


@KINDS.register("spiral")
class Spiral:
    """One spiral galaxy.

    Parameters
    ----------
    rng : numpy.random.Generator
        Stream that draws 2-4 arms of pitch 0.20-0.42 rad, bulge, weak bar, dust and star formation.
    """

    version = 1

    def __init__(self, rng: np.random.Generator) -> None:
        bar = None
        if rng.uniform() < 0.4:
            bar = Bar(rng.uniform(0.5, 0.9), rng.uniform(0.35, 0.55), rng.uniform(0.04, 0.12))
        number = int(rng.choice([2, 3, 4], p=[0.6, 0.25, 0.15]))
        self.disc = draw_disc(rng, bar=bar, number=number, young_share=rng.uniform(0.05, 0.6))

    def truth(self) -> dict[str, float]:
        """Return the columns that describe the galaxy itself."""
        return disc_truth(self.disc)

    def view(self, rng: np.random.Generator, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Return (C, S, S) light in units of the dust-free r-band light, and the columns of this view."""
        return disc_view(self.disc, rng, frame)


def disc_truth(disc: Disc) -> dict[str, float]:
    """Return the truth columns of a disc galaxy."""
    return {
        "disc_scale_kpc": disc.scale_kpc,
        "n_arms": float(disc.arms.number),
        "pitch_deg": float(np.degrees(disc.arms.pitch)),
        "bulge_fraction": disc.bulge_share * (1 - disc.young_share),
        "young_fraction": disc.young_share,
        "bar_length_kpc": disc.bar.length * disc.scale_kpc if disc.bar else 0.0,
    }


def disc_view(
    disc: Disc, rng: np.random.Generator, frame: Frame, *, least_cos: float = 0.25
) -> tuple[np.ndarray, dict[str, float]]:
    """Return a disc galaxy seen by a camera, and its inclination.

    The light is (S, S) of `frame`; cos(inclination) is drawn evenly between `least_cos` and 1.
    """
    cosine = rng.uniform(least_cos, 1.0)
    image = disc_image(
        disc,
        frame,
        cos_inclination=cosine,
        angle=rng.uniform(0, 2 * np.pi),
        spin=rng.uniform(-np.pi, np.pi),
        centre=rng.uniform(-1, 1, 2),
    )
    return image, {"inclination_deg": float(np.degrees(np.arccos(cosine)))}
