"""Full float32 on every device, so that answers do not depend on a rounding the user did not choose.

A GPU computes convolutions of float32 tensors with TF32 by default: 10 bits of mantissa instead of 23, logits
that differ by 1e-3.  A galaxy near a border is then of another class than on a CPU, and a pixel that just
fails to fool the model in one would fool it in the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Compute in float32 throughout: no TF32, and no autocast that the caller may be in."""
    before = [(where, name, getattr(where, name)) for where, name, _ in _switches()]
    for where, name, off in _switches():
        setattr(where, name, off)
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


def _switches() -> list[tuple[Any, str, Any]]:
    """Return what decides about TF32, and its value for full precision."""
    backends = torch.backends
    if hasattr(backends.cudnn, "conv"):  # PyTorch 2.9 and later
        operations = (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
        return [(operation, "fp32_precision", "ieee") for operation in operations]
    return [(backends.cudnn, "allow_tf32", False), (backends.cuda.matmul, "allow_tf32", False)]
