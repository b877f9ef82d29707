"""A memory of what every target image last looked like to the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Memory(nn.Module):
    """One row per target training image, replaced whenever the image comes by (momentum 0, as in DANCE).

    Parameters
    ----------
    n_rows : int
        Number of target training images.
    width : int
        Length of a row.
    """

    def __init__(self, n_rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(n_rows, width))
        self.register_buffer("seen", torch.zeros(n_rows, dtype=torch.bool))

    @torch.no_grad()
    def remember(self, index: Tensor, values: Tensor) -> None:
        """Replace the rows `index` (B,) by `values` (B, width)."""
        self.rows[index] = values.detach().to(self.rows.dtype)
        self.seen[index] = True

    def others(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return all rows, and which of them each image of `index` may look at: seen ones, but not itself.

        Returns
        -------
        rows : Tensor
            (N, width).
        allowed : Tensor
            (B, N) bool.
        """
        allowed = self.seen.repeat(len(index), 1)
        allowed[torch.arange(len(index), device=index.device), index] = False
        return self.rows.clone(), allowed
