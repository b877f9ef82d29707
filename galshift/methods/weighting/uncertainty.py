"""Learned uncertainty weights exactly as SIDDA has them; `learned` bounds them against running away.

Both losses are weighed by ``1 / (2 e^2)`` with ``ln|e1 e2|`` added; after every gradient, and before the
step that it makes, ``e1`` is held at 0.001 or more, and ``e2`` at a quarter of ``e1`` or more.

References
----------
Pandya et al. 2025 (SIDDA, arXiv:2501.14048); Kendall et al. 2018 (CVPR, arXiv:1705.07115), equation 7.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from galshift.methods.weighting import WEIGHTINGS
from galshift.methods.weighting._base import Weighting

FLOOR = 1e-3
RATIO = 0.25


@WEIGHTINGS.register("uncertainty")
class Uncertainty(Weighting):
    """Weigh each loss by ``1 / (2 e^2)`` with a learned ``e`` that starts at 1, and add ``ln|e1 e2|``."""

    version = 2
    reference = "Pandya et al. 2025, arXiv:2501.14048; Kendall et al. 2018, arXiv:1705.07115"

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))
        self.scale.register_post_accumulate_grad_hook(_bound)

    def weights(self, progress: float) -> Tensor:
        """Return ``1 / (2 e^2)`` of both losses."""
        return 1 / (2 * self.scale.square())

    def combine(
        self, supervised: Tensor, adaptation: Tensor, features: Sequence[Tensor], progress: float
    ) -> Tensor:
        """Return the weighted sum plus ``ln|e1 e2|``; arguments as for `Weighting.combine`."""
        losses = torch.stack([supervised, adaptation])
        return (self.weights(progress) * losses).sum() + self.scale.abs().log().sum()


@torch.no_grad()
def _bound(scale: Tensor) -> None:
    """Hold both scales above their floors; the next step may carry them a little below."""
    scale[0].clamp_(min=FLOOR)
    scale[1].clamp_(min=RATIO * float(scale[0]))
