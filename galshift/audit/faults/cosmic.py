"""Cosmic ray: a straight track of a few pixels in one exposure of one band.

The ACS Instrument Handbook gives a clear lower cut-off (negligible below about 500 e), a median of about 1
000 e that does not depend on the particle's energy, and events of mostly 4–5 pixels.  Only cut-off and
median are published: between them the amplitude is taken as 500 e plus an exponential whose median is 500 e
(our choice).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field

from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Fault, Scene, Variant
from galshift.types import Strict


class CosmicConfig(Strict):
    """Amplitudes, lengths and directions of the tracks.

    Attributes
    ----------
    cutoff_e, median_e : float
        Lower cut-off and median of the electrons of an event.
    quantiles : tuple of float
        Quantiles of that distribution that the grid holds.
    lengths_pixel : tuple of int
        Pixels that a track crosses.
    n_directions : int
        Directions, evenly spaced over half a turn.
    """

    cutoff_e: float = Field(500.0, ge=0)
    median_e: float = Field(1_000.0, gt=0)
    quantiles: tuple[float, ...] = Field((0.99, 0.9, 0.5), min_length=1)
    lengths_pixel: tuple[int, ...] = Field((1, 4, 5), min_length=1)
    n_directions: int = Field(4, ge=1, le=32)


@FAULTS.register("cosmic")
class Cosmic(Fault):
    """A track of electrons in one band."""

    Config = CosmicConfig
    reference = "ACS Instrument Handbook: cosmic-ray events"
    adds = True

    def variants(self, scene: Scene) -> list[Variant]:
        """Return every quantile, length and direction in every band, brightest first."""
        config, found = self.config, []
        stencils = [
            (f"{n} px", track(n, math.pi * turn / config.n_directions))
            for n in config.lengths_pixel
            for turn in range(config.n_directions if n > 1 else 1)
        ]
        shares = quantile_shares(config.quantiles)
        for quantile in sorted(shares, reverse=True):
            electrons = event_electrons(quantile, config.cutoff_e, config.median_e)
            weight = shares[quantile] / (len(scene.bands) * len(stencils))
            for band, name in enumerate(scene.bands):
                found += [
                    Variant(
                        f"{electrons:.0f} e over {label} in {name}", (band,), (electrons,), stencil, weight
                    )
                    for label, stencil in stencils
                ]
        return found


def quantile_shares(quantiles: Sequence[float]) -> dict[float, float]:
    """Return the share of the distribution that is nearer to each quantile than to another."""
    ordered = sorted(set(quantiles))
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(ordered)), 1.0]
    return {quantile: high - low for quantile, low, high in zip(ordered, edges, edges[1:])}


def event_electrons(quantile: float, cutoff_e: float, median_e: float) -> float:
    """Return the electrons of an event at `quantile` of the shifted exponential."""
    return cutoff_e + (median_e - cutoff_e) * -math.log1p(-quantile) / math.log(2)


def track(n_pixels: int, angle: float) -> tuple[tuple[int, int, float], ...]:
    """Return a straight track through the place of impact: offsets and equal shares summing to 1.

    Parameters
    ----------
    angle : float
        Direction from +x towards +y [rad].
    """
    step = max(abs(math.cos(angle)), abs(math.sin(angle)))
    cells = []
    for i in range(n_pixels):
        along = (i - (n_pixels - 1) // 2) / step
        cells.append((math.floor(along * math.sin(angle) + 0.5), math.floor(along * math.cos(angle) + 0.5)))
    return tuple((dy, dx, 1 / n_pixels) for dy, dx in cells)
