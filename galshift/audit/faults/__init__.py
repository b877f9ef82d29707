'''Detector faults, one file each: what one event does to a pixel, in electrons, before the stretch.

Adding one
----------
A fault lists the ways in which it may strike; the search tries each of them at every pixel::

    """Warm pixel: a few hundred electrons too many in one band."""

    from galshift.audit.faults import FAULTS, Fault, each_band


    @FAULTS.register("warm")
    class Warm(Fault):
        """A pixel that counts too much in one band."""

        reference = "Author 2026"
        adds = True

        def variants(self, scene):
            """Return 300 electrons in each band."""
            return [*each_band(scene.bands, [[300.0] * len(scene.bands)])]

It is a file of this folder, or an entry point of the group ``galshift.audit.faults``, and strikes with
``galshift one-pixel-attack RUN DATA --fault warm``.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.audit.faults._base import Detector, Fault, FaultConfig, Scene, Variant, each_band

FAULTS = Registry("fault", "galshift.audit.faults")

__all__ = ["FAULTS", "Detector", "Fault", "FaultConfig", "Scene", "Variant", "each_band"]
__getattr__ = lazily(
    __name__,
    {
        "galshift.audit.faults._base": ("Detector", "Fault", "FaultConfig", "Scene", "Variant", "each_band"),
    },
)
