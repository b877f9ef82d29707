"""Saturated pixel: one pixel of one band at the full well, in every exposure of the stack.

ACS/WFC saturates at about 77 400 e (ACS Instrument Handbook); data-quality bits 256 and 2048.
"""

from __future__ import annotations

from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Fault, Scene, Variant, each_band


@FAULTS.register("saturated")
class Saturated(Fault):
    """A pixel at full well in one band."""

    reference = "ACS Instrument Handbook: full well"

    def variants(self, scene: Scene) -> list[Variant]:
        """Return the full well of the whole stack in every band."""
        exposures = scene.detector.by_band("exposures", len(scene.bands))
        return each_band(scene.bands, [[scene.detector.full_well_e * count for count in exposures]])
