"""Free one-pixel attack: all bands of a pixel set to the ends of the range that the images span.

Su, Vargas & Sakurai 2019, IEEE TEVC 23, 828 (arXiv:1710.08864); used on galaxies by Ciprijanovic et al. 2022,
arXiv:2112.14299.  No detector does this; it is here to compare with published numbers.
"""

from __future__ import annotations

from itertools import product
from typing import Literal

from pydantic import Field

from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Fault, Scene, Variant
from galshift.types import Strict


class RgbConfig(Strict):
    """Which values a pixel may take.

    Attributes
    ----------
    levels : tuple of float
        Values on a scale where 0 is the lowest and 1 the highest stretched value of the images, per band.
    combine : str
        ``corners``: every combination of levels over the bands (up to 4 bands); ``together``: all bands at
        the same level; ``each``: one band at a time.  ``auto`` is ``corners`` up to 3 bands, ``together``
        above.
    """

    levels: tuple[float, ...] = Field((1.0, 0.0), min_length=1)
    combine: Literal["auto", "corners", "together", "each"] = "auto"


@FAULTS.register("rgb")
class Rgb(Fault):
    """A pixel set to any corner of the range of stretched values."""

    Config = RgbConfig
    reference = "Su, Vargas & Sakurai 2019, arXiv:1710.08864"
    stretched = True

    def variants(self, scene: Scene) -> list[Variant]:
        """Return the grid of values, brightest first."""
        n, levels = len(scene.bands), self.config.levels
        combine = self.config.combine
        if combine == "auto":
            combine = "corners" if n <= 3 else "together"
        if combine == "corners":
            choices = [(tuple(range(n)), level) for level in product(levels, repeat=n)]
            choices.sort(key=lambda item: -abs(sum(item[1]) - n / 2))
        elif combine == "together":
            choices = [(tuple(range(n)), (level,) * n) for level in levels]
        else:
            choices = [((band,), (level,)) for level in levels for band in range(n)]
        low, high = scene.low.tolist(), scene.high.tolist()
        return [
            Variant(
                ", ".join(f"{scene.bands[b]} at {level:g}" for b, level in zip(bands, chosen)),
                bands,
                tuple(low[b] + level * (high[b] - low[b]) for b, level in zip(bands, chosen)),
                weight=1 / len(choices),
            )
            for bands, chosen in choices
        ]
