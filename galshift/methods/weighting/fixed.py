"""The method's own weight, the same at every step."""

from __future__ import annotations

from galshift.methods.weighting import WEIGHTINGS
from galshift.methods.weighting._base import Weighting


@WEIGHTINGS.register("fixed")
class Fixed(Weighting):
    """Add the adaptation terms to the supervised loss as they are."""
