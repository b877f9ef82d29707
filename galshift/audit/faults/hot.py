"""Hot pixel: electrons added to one pixel of one band.

ACS flags pixels as warm or hot by their dark current (data-quality bits 64 and 16); one pixel of one
exposure, fixed on the detector.  Amplitudes are a grid, not a rate: the distribution of a given camera is
not built in.
"""

from __future__ import annotations

from pydantic import Field

from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Fault, Scene, Variant, each_band
from galshift.types import Strict


class HotConfig(Strict):
    """Electrons collected by the hot pixel in one exposure."""

    amplitudes_e: tuple[float, ...] = Field((300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0), min_length=1)


@FAULTS.register("hot")
class Hot(Fault):
    """A pixel with extra electrons in one band."""

    Config = HotConfig
    reference = "ACS Data Handbook: DQ 16 (hot), 64 (warm)"
    adds = True

    def variants(self, scene: Scene) -> list[Variant]:
        """Return every amplitude in every band, brightest first."""
        return each_band(scene.bands, [(value,) * len(scene.bands) for value in self.config.amplitudes_e])
