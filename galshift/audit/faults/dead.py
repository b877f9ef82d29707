"""Dead pixel: no electrons in one pixel of one band, so that it ends at minus the subtracted sky.

Euclid VIS flags it COLD (4); in a stack it is dead in every exposure, the worst case.
"""

from __future__ import annotations

from galshift.audit.faults import FAULTS
from galshift.audit.faults._base import Fault, Scene, Variant, each_band


@FAULTS.register("dead")
class Dead(Fault):
    """A pixel that counts nothing in one band."""

    reference = "Euclid VIS flags: COLD = 4"

    def variants(self, scene: Scene) -> list[Variant]:
        """Return the one amplitude, minus the sky, in every band."""
        return each_band(scene.bands, [[-sky for sky in scene.detector.by_band("sky_e", len(scene.bands))]])
