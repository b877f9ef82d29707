"""Feed training from data sets larger than memory: shuffled windows, read in order, prepared ahead.

Rows are dealt into blocks of neighbours; blocks are shuffled over the whole set, and rows are shuffled
inside a
window of several blocks.  The disk sees long sequential reads, the network sees rows from many places; while
one window is used, a thread reads and prepares the next.  The order is a function of (seed, name, epoch) and
of
the sizes below, never of time or threads.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts, Dataset
from galshift.streams import numpy_stream

WINDOW_BYTES = 96 << 20
BLOCKS = 16


def block_shuffle(n: int, block: int, window: int, seed: int, *names: object) -> list[np.ndarray]:
    """Return windows of positions that together are a random permutation of ``range(n)``.

    Parameters
    ----------
    n : int
    block : int
        Neighbouring positions that stay in one window.
    window : int
        Blocks a window; rows are shuffled inside it.
    seed, *names
        The random stream, such as ``(42, "source", epoch)``.

    Returns
    -------
    list of ndarray
        int64 positions in the order in which they are used; all windows but the last hold ``block * window``
        positions, or fewer where the short last block of the set is among them.
    """
    generator = numpy_stream(seed, "block-shuffle", *names)
    blocks = generator.permutation(-(-n // block)) if n else np.empty(0, dtype=np.int64)
    windows = []
    for start in range(0, len(blocks), window):
        chosen = blocks[start : start + window]
        rows = np.concatenate([np.arange(b * block, min(n, (b + 1) * block)) for b in chosen])
        windows.append(generator.permutation(rows))
    return windows


class Stream:
    """Batches of prepared images, epoch after epoch.

    Parameters
    ----------
    dataset : Dataset
    indices : ndarray
        Rows of `dataset` to use.
    prepare : callable
        From cut-outs to what a batch holds, such as ``preprocessing.linear``; it must not depend on which
        images
        come together.
    batch_size : int
    seed : int
    name : str
        Of the random stream.
    window_bytes : int
        Memory of one window; at most three exist at a time.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: np.ndarray,
        prepare: Callable[[Cutouts], np.ndarray],
        *,
        batch_size: int = 64,
        seed: int = 42,
        name: str = "stream",
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.dataset, self.prepare = dataset, prepare
        self.indices = np.sort(np.asarray(indices, dtype=np.int64))
        self.batch_size, self.seed, self.name = batch_size, seed, name
        image_bytes = 4 * int(np.prod(dataset.info.shape))
        rows = max(batch_size, window_bytes // image_bytes)
        self.block = max(1, rows // BLOCKS)

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows, images) batches that cover the indices once; the last batch may be smaller."""
        windows = block_shuffle(len(self.indices), self.block, BLOCKS, self.seed, self.name, number)
        held_rows = np.empty(0, dtype=np.int64)
        held: np.ndarray | None = None
        for rows, images in prefetch(self._load(windows), depth=1):
            rows = np.concatenate([held_rows, rows])
            images = images if held is None or not len(held) else np.concatenate([held, images])
            full = len(rows) - len(rows) % self.batch_size
            for start in range(0, full, self.batch_size):
                part = slice(start, start + self.batch_size)
                yield rows[part], images[part]
            held_rows, held = rows[full:], images[full:].copy()
        if len(held_rows):
            yield held_rows, held

    def _load(self, windows: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for window in windows:
            rows = self.indices[window]
            order = np.argsort(rows, kind="stable")
            # Read in the order of the disk, a block at a time, then put back into the order of use.
            images: np.ndarray | None = None
            for start in range(0, len(order), self.block):
                part = order[start : start + self.block]
                prepared = self.prepare(self.dataset.read(rows[part]))
                if images is None:
                    images = np.empty((len(rows), *prepared.shape[1:]), dtype=prepared.dtype)
                images[part] = prepared
            if images is not None:
                yield rows, images


def prefetch(items: Iterator[Any], depth: int = 2) -> Iterator[Any]:
    """Yield `items`, made ahead in a thread that stays at most `depth` in front; errors are raised here."""
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, name="galshift-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
            value = None
    finally:
        stop.set()
        thread.join(timeout=5)
