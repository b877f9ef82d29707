"""How many CPU threads train a small CNN fastest: measured, for more is often slower.

The number is the user's to set (``training.threads``), not the loop's to guess: the order of a sum depends on
it, and with that the last bits of every weight.
"""

from __future__ import annotations

import time

import torch
from torch.nn import functional

BATCH, SIZE, BANDS, CLASSES = 64, 64, 3, 3


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
    before, best = torch.get_num_threads(), dict.fromkeys(numbers, float("inf"))
    try:
        for turn in range(repeats + 1):
            for number in numbers:
                torch.set_num_threads(number)
                started = time.perf_counter()
                model.zero_grad(set_to_none=True)
                functional.cross_entropy(model(images).logits, labels).backward()
                if turn > 0:  # the first step prepares
                    best[number] = min(best[number], time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return best


def advised(seconds: dict[int, float], *, worth: float = 0.95) -> int:
    """Return the smallest number of threads within 1 / `worth` of the fastest."""
    fastest = min(seconds.values())
    return min(number for number, taken in seconds.items() if taken * worth <= fastest)
