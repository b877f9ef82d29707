"""Standardise: fixed features at zero mean and unit variance in each domain, by its own images.

References
----------
Li et al. 2018 (Pattern Recognition 80, 109; arXiv:1603.04779), section 3.2, for the last layer alone: each
domain is normalised by its own statistics, and what follows is shared.
"""

from __future__ import annotations

from torch import Tensor

from galshift.methods import METHODS
from galshift.methods._feature_map import FixedFeatures, scaling


@METHODS.register("standardise")
class Standardise(FixedFeatures):
    """Train the head on features that each domain's own images standardise; needs fixed features."""

    reference = "Li et al. 2018, arXiv:1603.04779, on the last layer"
    aligns = True
    needs_classes = False

    def maps(self, source: Tensor, target: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the scaling of each domain; arguments as for `FixedFeatures.maps`."""
        return scaling(source), scaling(target)
