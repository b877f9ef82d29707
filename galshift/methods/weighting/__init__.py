'''Ways to weigh the supervised loss against the adaptation terms: one file each.

Adding one
----------
::

    """Trust the adaptation half as much as the labels."""

    import torch

    from galshift.methods.weighting import WEIGHTINGS, Weighting


    @WEIGHTINGS.register("half")
    class Half(Weighting):
        """The adaptation terms count one half."""

        def weights(self, progress):
            """Return the two weights."""
            return torch.tensor([1.0, 0.5])

        def combine(self, supervised, adaptation, features, progress):
            """Return the sum; arguments as for `Weighting.combine`."""
            return supervised + 0.5 * adaptation

It is a file of this folder, or an entry point of the group ``galshift.methods.weighting``, and is chosen by
``--set method.weighting=half``.
'''

from typing import TYPE_CHECKING

from galshift.registry import Registry, lazily

if TYPE_CHECKING:
    from galshift.methods.weighting._base import Weighting

WEIGHTINGS = Registry("weighting", "galshift.methods.weighting")

__all__ = ["WEIGHTINGS", "Weighting"]
__getattr__ = lazily(__name__, {"galshift.methods.weighting._base": ("Weighting",)})
