"""What a run of make-mocks would take: the first images are made for real, timed, and scaled up."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Cutouts, DataInfo, Dataset
from galshift.data.open import open_dataset
from galshift.verbs._base import Context
from galshift.verbs.make_mocks.config import MakeMocksConfig
from galshift.verbs.make_mocks.paths import product_paths
from galshift.verbs.make_mocks.work import forget, produce

#: Images of the two runs that are timed: what both take is the start, the rest is the rate.
_FEW, _MANY = 8, 200


def estimate(config: MakeMocksConfig, device: str = "auto", workers: int = 1) -> dict[str, Any]:
    """Return time and disk for the whole input and for a million images.

    Parameters
    ----------
    config : MakeMocksConfig
    device : str
    workers : int
        The rate is taken to grow with the processes, up to the machine's cores.

    Returns
    -------
    dict
        ``images_per_second`` of `workers` processes, ``bytes_per_image`` of the products, and ``estimates``.
    """
    dataset = open_dataset(config.input, config.read)
    with tempfile.TemporaryDirectory(prefix="galshift-") as folder:
        start, seconds, size = _trial(config, dataset, device, Path(folder))
    rate = min(workers, os.cpu_count() or 1) / seconds
    return {
        "images_per_second": rate,
        "bytes_per_image": size,
        "workers": workers,
        "estimates": [_row(n, start + n / rate, n * size) for n in (len(dataset), 1_000_000)],
    }


def _trial(
    config: MakeMocksConfig, dataset: Dataset, device: str, folder: Path
) -> tuple[float, float, float]:
    """Seconds to start, and seconds and bytes an image, of runs over the first images, products and all."""
    context = Context(device=device, out=folder / "trial.h5")
    few, many = min(_FEW, len(dataset)), min(_MANY, len(dataset))

    def timed(n: int) -> float:
        began = time.perf_counter()
        produce(config, Head(dataset, n), folder, context)
        took = time.perf_counter() - began
        forget(folder)
        return took

    timed(few)  # imports and plans
    short, long = timed(few), timed(many)
    size = sum(path.stat().st_size for path in product_paths(config, context.out))
    seconds = (long - short) / (many - few) if many > few and long > short else long / many
    return max(short - few * seconds, 0.0), seconds, size / many


class Head:
    """The first images of a data set, as a data set.

    Parameters
    ----------
    dataset : Dataset
    n : int
    """

    def __init__(self, dataset: Dataset, n: int) -> None:
        self._dataset, self._n = dataset, n
        self.name, self.path = dataset.name, dataset.path

    def __len__(self) -> int:
        return self._n

    @property
    def info(self) -> DataInfo:
        """The whole data set's metadata."""
        return self._dataset.info

    def read(self, indices: np.ndarray) -> Cutouts:
        """Return the images at `indices`."""
        return self._dataset.read(indices)


def _row(n: int, seconds: float, size: float) -> dict[str, Any]:
    return {"n": n, "seconds": seconds, "bytes": int(size), "time": _time(seconds), "disk": _disk(size)}


def _time(seconds: float) -> str:
    """``42 s``, ``12 min`` or ``3.1 h``."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _disk(size: float) -> str:
    return f"{size / 1e9:.3g} GB" if size > 1e9 else f"{size / 1e6:.3g} MB"
