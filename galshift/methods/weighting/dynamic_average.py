"""Dynamic weight averaging: more weight to the loss that falls more slowly.

References
----------
Liu et al. 2019 (CVPR, arXiv:1803.10704), equation 7, over running means instead of epochs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from galshift.methods.weighting import WEIGHTINGS
from galshift.methods.weighting._base import Weighting

TEMPERATURE = 2.0
WINDOW = 25


@WEIGHTINGS.register("dynamic-average")
class DynamicAverage(Weighting):
    """Weigh by the softmax of the losses' ratios between consecutive windows of steps; the sum is 2."""

    reference = "Liu et al. 2019, arXiv:1803.10704"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(2))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("means", torch.full((2, 2), float("nan")))

    def weights(self, progress: float) -> Tensor:
        """Return the two weights; (1, 1) until two windows have passed."""
        if not bool(torch.isfinite(self.means).all()):
            return torch.ones_like(self.sums)
        older, newer = self.means.abs()
        rates = (newer / older.clamp_min(1e-8)).clamp(0.0, 10.0)
        return 2 * torch.softmax(rates / TEMPERATURE, dim=0)

    def combine(
        self, supervised: Tensor, adaptation: Tensor, features: Sequence[Tensor], progress: float
    ) -> Tensor:
        """Return the weighted sum; arguments as for `Weighting.combine`."""
        losses = torch.stack([supervised, adaptation])
        total = (self.weights(progress) * losses).sum()
        if self.training and torch.is_grad_enabled():
            self._remember(losses.detach())
        return total

    def _remember(self, losses: Tensor) -> None:
        self.sums += losses
        self.count += 1
        if int(self.count) == WINDOW:
            self.means = torch.stack([self.means[1], self.sums / WINDOW])
            self.sums = torch.zeros_like(self.sums)
            self.count = torch.zeros_like(self.count)
