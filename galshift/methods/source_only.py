"""Train on the source and hope: the baseline that every adaptation must beat."""

from __future__ import annotations

from galshift.methods import METHODS
from galshift.methods._base import Method


@METHODS.register("source-only")
class SourceOnly(Method):
    """No adaptation term; the target is never seen."""

    reference = "the baseline of every paper"
    uses_target = False
