"""Features and logits on which the losses of methods are held against numbers from elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def reference_draw() -> dict[str, Tensor]:
    """Return two clouds of 128 x 256, logits and labels: what the reference figures were made with."""
    g = torch.Generator().manual_seed(1234)
    kwargs = {"generator": g, "dtype": torch.float64}
    s, t = torch.randn(128, 256, **kwargs), 0.5 + 1.3 * torch.randn(128, 256, **kwargs)
    ls, lt = 2 * torch.randn(128, 4, **kwargs), 2 * torch.randn(128, 4, **kwargs)
    y = torch.randint(0, 4, (128,), generator=g)
    a, b = torch.randn(128, 4, **kwargs), torch.randn(128, 4, **kwargs)
    return {"s": s, "t": t, "ls": ls, "lt": lt, "y": y, "as": a, "at": b}


def clouds(n: int = 7, m: int = 9, d: int = 4) -> tuple[Tensor, Tensor]:
    """Return two small clouds of unequal size."""
    g = torch.Generator().manual_seed(5)
    return (
        torch.randn(n, d, generator=g, dtype=torch.float64),
        0.7 + 1.4 * torch.randn(m, d, generator=g, dtype=torch.float64),
    )


def softmax(x: np.ndarray) -> np.ndarray:
    """Return the softmax of rows, in numpy."""
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
