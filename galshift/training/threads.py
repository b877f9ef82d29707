"""How many CPU threads a network is worth.

The number is a rule, not a measurement at run time: the order of a sum depends on it, and with that the last
bits of every weight.  ``training.threads`` overrides it, and ``galshift doctor --threads`` measures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

# Networks with fewer weights have steps so short that threads mostly wait for one another: measured with
# `doctor --threads`, two gain little on a quiet machine and lose a factor of ten on a busy one.
SMALL = 3_000_000
BATCH, SIZE, BANDS, CLASSES = 64, 64, 3, 3


def suited_threads(model: nn.Module, wanted: int | None = None) -> int:
    """Return the number of CPU threads for `model`: `wanted`, else 1 for a small one, else torch's own."""
    if wanted is not None:
        return wanted
    small = sum(weight.numel() for weight in model.parameters()) < SMALL
    return 1 if small else torch.get_num_threads()


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Compute with so many CPU threads, and put the old number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measured_threads(most: int, *, repeats: int = 5) -> dict[int, float]:
    """Return the seconds of one training step of DeepMerge by number of threads: 1, 2, 4, ... and `most`.

    Parameters
    ----------
    most : int
        The largest number to try, such as the CPUs of this process.
    repeats : int
        Steps timed for each, in turns, of which the fastest counts: other work only ever slows a step down.
    """
    from galshift.models.build import build_model

    numbers = sorted({most, *(2**k for k in range(most.bit_length()) if 2**k <= most)})
    model = build_model("deepmerge", in_channels=BANDS, size=SIZE, n_classes=CLASSES)
    model = model.to(memory_format=torch.channels_last)
    images = torch.randn(BATCH, BANDS, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    images, labels = images.contiguous(memory_format=torch.channels_last), torch.arange(BATCH) % CLASSES
    best = dict.fromkeys(numbers, float("inf"))
    for turn in range(repeats + 1):
        for number in numbers:
            with cpu_threads(number):
                started = time.perf_counter()
                model.zero_grad(set_to_none=True)
                functional.cross_entropy(model(images).logits, labels).backward()
                if turn > 0:  # the first step prepares
                    best[number] = min(best[number], time.perf_counter() - started)
    return best


def advised(seconds: dict[int, float], *, worth: float = 0.95) -> int:
    """Return the smallest number of threads within 1 / `worth` of the fastest."""
    fastest = min(seconds.values())
    return min(number for number, taken in seconds.items() if taken * worth <= fastest)
