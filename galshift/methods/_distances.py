"""Squared distances between clouds of features, by the Gram matrix: O(n m) memory, never O(n m d)."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """Return `x` in float32, or as it is in float64: half precision overflows in squares."""
    return x if x.dtype == torch.float64 else x.float()


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the matrix of squared Euclidean distances, never negative.

    Both clouds are first moved by the (detached) mean of `x`: distances do not change, but the Gram form
    keeps its digits when features sit far from the origin.

    Parameters
    ----------
    x, y : Tensor
        (n, d) and (m, d).

    Returns
    -------
    Tensor
        (n, m).
    """
    same = x is y
    centre = x.detach().mean(dim=0)
    x = x - centre
    y = x if same else y - centre
    x2 = x.square().sum(dim=1)
    y2 = x2 if same else y.square().sum(dim=1)
    return torch.addmm(x2[:, None] + y2, x, y.T, alpha=-2).clamp_min(0)


def median_off_diagonal(d2: Tensor) -> Tensor:
    """Return the lower median of the off-diagonal entries of a square matrix, detached; 0 without any."""
    n = len(d2)
    if n < 2:
        return d2.new_zeros(())
    # Dropping the first entry and reading n+1 columns puts every diagonal entry into the last column.
    return d2.detach().flatten()[1:].view(n - 1, n + 1)[:, :-1].flatten().median()
