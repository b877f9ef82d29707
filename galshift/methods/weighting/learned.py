"""Learned uncertainty weights, as SIDDA's, bounded so that neither weight can run away.

SIDDA (arXiv:2501.14048) minimises ``L_c / (2 e1^2) + L_a / (2 e2^2) + ln|e1 e2|``, after Kendall et al. 2018.
As a loss goes to zero that form goes to minus infinity and the weight to infinity, so the original clips
both.  Here the penalty is ``ln(1 + e1^2) + ln(1 + e2^2)``, never negative (Liebel & Koerner 2018), ``e`` has
a smooth floor, and SIDDA's bound ``e2 >= e1 / 4`` keeps the adaptation from drowning the classification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from galshift.methods.weighting import WEIGHTINGS
from galshift.methods.weighting._base import Weighting

FLOOR = 0.1
RATIO = 0.25


@WEIGHTINGS.register("learned")
class Learned(Weighting):
    """Weigh each loss by ``1 / (2 e^2)`` with a learned ``e`` that starts at 1."""

    reference = "Pandya et al. 2025, arXiv:2501.14048; Kendall et al. 2018, arXiv:1705.07115"

    def __init__(self) -> None:
        super().__init__()
        start = math.log(math.expm1(1.0 - FLOOR))
        self.raw = nn.Parameter(torch.full((2,), start))

    def scales(self) -> Tensor:
        """Return (e1, e2), at least `FLOOR`, with ``e2 >= RATIO * e1``."""
        e = FLOOR + nn.functional.softplus(self.raw)
        return torch.stack([e[0], torch.maximum(e[1], RATIO * e[0].detach())])

    def weights(self, progress: float) -> Tensor:
        """Return ``1 / (2 e^2)`` of both losses."""
        return 1 / (2 * self.scales().square())

    def combine(
        self, supervised: Tensor, adaptation: Tensor, features: Sequence[Tensor], progress: float
    ) -> Tensor:
        """Return the weighted sum plus the penalty; arguments as for `Weighting.combine`."""
        weights = self.weights(progress)
        losses = torch.stack([supervised, adaptation])
        # The scales follow the losses' sizes: a term that may be negative would otherwise buy itself weight.
        for_scales = (weights * losses.detach().abs()).sum()
        for_model = (weights.detach() * losses).sum()
        return for_model + for_scales - for_scales.detach() + torch.log1p(self.scales().square()).sum()
