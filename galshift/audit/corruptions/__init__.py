'''Corruptions that surveys really have, one file each: five severities, before the model's stretch.

Adding one
----------
::

    """A constant added to the whole image."""

    from galshift.audit.corruptions import CORRUPTIONS, Corruption


    @CORRUPTIONS.register("pedestal")
    class Pedestal(Corruption):
        """Sky that was not subtracted."""

        levels = (0.5, 1.0, 2.0, 4.0, 8.0)
        unit = "sky sigma"

        def apply(self, image, level, frame, rng):
            """Return the damaged image; arguments as for `Corruption.apply`."""
            return image + level * frame.sigma

It is a file of this folder, or an entry point of the group ``galshift.audit.corruptions``, and is one of
those that ``galshift audit RUN DATA`` tries.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.audit.corruptions._base import Corruption, Frame

CORRUPTIONS = Registry("corruption", "galshift.audit.corruptions")

__all__ = ["CORRUPTIONS", "Corruption", "Frame"]
__getattr__ = lazily(__name__, {"galshift.audit.corruptions._base": ("Corruption", "Frame")})
