"""Fresh worker processes that do not run the caller's script again."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def process_pool(
    workers: int, initializer: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of `workers` spawned processes; what they run is found in importable modules alone.

    A spawned process begins by running the main script, so that a script without ``if __name__ ==
    "__main__"`` would start its work, and processes of its own, in each of them.  Nothing here needs that.
    """
    context = multiprocessing.get_context("spawn")
    with without_main(), ProcessPoolExecutor(workers, mp_context=context, initializer=initializer) as pool:
        yield pool


@contextmanager
def without_main() -> Iterator[None]:
    """Hide where the main module came from, which is all that a spawned process knows of it."""
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if getattr(main, name, None)}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
