"""What a weighting is: a module that turns two losses into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class Weighting(nn.Module):
    """Weighs the supervised loss and the sum of the adaptation terms.

    Its parameters join the optimiser and its buffers the checkpoint, as those of every other module.
    """

    version: ClassVar[int] = 1
    reference: ClassVar[str] = ""

    def weights(self, progress: float) -> Tensor:
        """Return the (2,) present weights of the supervised and the adaptation loss."""
        return torch.ones(2)

    def combine(
        self, supervised: Tensor, adaptation: Tensor, features: Sequence[Tensor], progress: float
    ) -> Tensor:
        """Return the scalar to differentiate.

        Parameters
        ----------
        supervised, adaptation : Tensor
            Scalars; `adaptation` already carries the method's own weight.
        features : sequence of Tensor
            The (B, D) features that the losses were computed from, for weightings that look at gradients.
        progress : float
            Fraction of the adaptation steps done, in [0, 1].
        """
        return supervised + adaptation
