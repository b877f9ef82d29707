"""Named random streams: a seed made from (seed, step, stage, item id), never from the order of work.

Because every consumer names its own stream, a result does not depend on batch size, worker count, shard or
the order of files.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def stream_seed(seed: int, *names: object) -> int:
    """Return a 63-bit seed for the stream called `names`.

    Parameters
    ----------
    seed : int
        The run's seed.
    *names : object
        The path of the stream, such as ``("make-mocks", "noise", "galaxy-17", "r")``; compared as text.
    """
    text = "\x1f".join([str(int(seed)), *(str(name) for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def numpy_stream(seed: int, *names: object) -> np.random.Generator:
    """Return a numpy generator for the stream called `names`."""
    import numpy as np

    return np.random.Generator(np.random.SFC64(stream_seed(seed, *names)))


def torch_stream(seed: int, *names: object, device: str = "cpu") -> torch.Generator:
    """Return a torch generator on `device` for the stream called `names`."""
    import torch

    generator = torch.Generator(device=device)
    generator.manual_seed(stream_seed(seed, *names))
    return generator
