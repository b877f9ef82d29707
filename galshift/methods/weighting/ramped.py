"""The method's own weight, ramped up from zero over the run.

References
----------
Ganin et al. 2016 (JMLR 17, 59), section 5.2.2, with the progress of the whole run.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from galshift.methods._adversarial import ramp
from galshift.methods.weighting import WEIGHTINGS
from galshift.methods.weighting._base import Weighting


@WEIGHTINGS.register("ramped")
class Ramped(Weighting):
    """Multiply the adaptation terms by ``2 / (1 + exp(-10 progress)) - 1``."""

    reference = "Ganin et al. 2016, JMLR 17, 59"

    def weights(self, progress: float) -> Tensor:
        """Return (1, ramp)."""
        return torch.tensor([1.0, ramp(progress)])

    def combine(
        self, supervised: Tensor, adaptation: Tensor, features: Sequence[Tensor], progress: float
    ) -> Tensor:
        """Return ``supervised + ramp(progress) * adaptation``; arguments as for `Weighting.combine`."""
        return supervised + ramp(progress) * adaptation
