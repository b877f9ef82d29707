"""Memory that a step gives back is held for the next one.

glibc returns large arrays to the operating system when they are freed and asks for them again at the next
step, page by page.  With DeepMerge in batches of 64 on one CPU thread that took 30 % of a step's time at 72
pixels and 40 % at 128, as ``tests/benchmarks/step.py`` measures.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of <malloc.h>
_ARRAY, _HELD = 1 << 30, (2 << 30) - 1  # the largest array that comes from held memory, and the most held
# The same at rest, where glibc's own limits rise to by themselves; old versions take no larger array.
_OLD_LIMIT, _AT_REST = 32 << 20, 64 << 20

_depth = 0


@contextmanager
def held_memory() -> Iterator[None]:
    """Hold up to 2 GiB of freed memory until the end; without effect but on Linux with glibc."""
    global _depth
    libc = _libc()
    if libc is None:
        yield
        return
    _depth += 1
    _limit(libc, _ARRAY, _HELD)
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            _limit(libc, _OLD_LIMIT, _AT_REST)
            libc.malloc_trim(0)


def _limit(libc: ctypes.CDLL, array: int, held: int) -> None:
    """Set the largest array that comes from held memory, and how much is held [bytes]."""
    if not libc.mallopt(_MMAP_THRESHOLD, array):
        libc.mallopt(_MMAP_THRESHOLD, _OLD_LIMIT)
    libc.mallopt(_TRIM_THRESHOLD, held)


@cache
def _libc() -> ctypes.CDLL | None:
    """The C library, where it is glibc."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
