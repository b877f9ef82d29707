"""Images as a folder of HDF5 files of so many each, which is opened as one data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.data.hdf5 import write_hdf5
from galshift.provenance import atomic_folder


def write_hdf5_shards(
    folder: str | Path, chunks: Iterable[Cutouts], images: int, *, provenance: dict[str, Any] | None = None
) -> Path:
    """Write `chunks` end to end as ``part-00000.h5`` and on; the folder appears when it is whole.

    Parameters
    ----------
    folder : path-like
        An existing one is replaced.
    chunks : iterable of Cutouts
        As of :func:`galshift.data.hdf5.write_hdf5`; one is in memory at a time.
    images : int
        Of each file but the last.
    provenance : dict, optional
        JSON-able account, stored in every file.
    """
    folder = Path(folder)
    stream, number = _Stream(chunks), 0
    with atomic_folder(folder) as unfinished:
        while not stream.ended:
            write_hdf5(unfinished / f"part-{number:05d}.h5", stream.next(images), provenance=provenance)
            number += 1
    return folder


class _Stream:
    """Chunks of any size, taken so many images at a time."""

    def __init__(self, chunks: Iterable[Cutouts]) -> None:
        self._chunks = iter(chunks)
        self._held = next(self._chunks, None)

    @property
    def ended(self) -> bool:
        """Whether no image is left."""
        return self._held is None

    def next(self, images: int) -> Iterator[Cutouts]:
        """Yield chunks that hold the next `images` images, or what is left."""
        while images and self._held is not None:
            whole = self._held
            if len(whole) <= images:
                yield whole
                self._held = next(self._chunks, None)
                images -= len(whole)
            else:
                yield whole.take(np.arange(images))
                self._held = whole.take(np.arange(images, len(whole)))
                images = 0
