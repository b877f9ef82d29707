"""What a run of make-mocks would take: the first images are made for real, timed, and scaled up."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galshift.recipes._step import Context

#: Images that are timed, after a first few that only fill the caches.
_WARM, _TIMED = 8, 96


def estimate(
    values: Mapping[str, Any], overrides: Sequence[str] = (), device: str = "auto", workers: int = 1
) -> dict[str, Any]:
    """Return time and disk for the whole input and for a million images.

    Parameters
    ----------
    values : mapping
        Values of the make-mocks config.
    overrides : sequence of str
        ``key.path=value``, as of ``--set``.
    device : str
    workers : int
        The rate is taken to grow with the processes, up to the machine's cores.

    Returns
    -------
    dict
        ``images_per_second`` of `workers` processes, ``bytes_per_image`` of the products, and ``estimates``.
    """
    import os

    from galshift.data.open import open_dataset
    from galshift.recipes.prepare import prepare

    config = prepare("make-mocks", values, overrides=overrides).config
    dataset = open_dataset(config.input, config.read)
    with tempfile.TemporaryDirectory(prefix="galshift-") as folder:
        seconds, size = _trial(config, dataset, device, Path(folder))
    rate = min(workers, os.cpu_count() or 1) / seconds
    return {
        "images_per_second": rate,
        "bytes_per_image": size,
        "workers": workers,
        "estimates": [_row(n, n / rate, n * size) for n in (len(dataset), 1_000_000)],
    }


def _trial(config: Any, dataset: Any, device: str, folder: Path) -> tuple[float, float]:
    """Seconds and bytes per image of a run over the first images, pieces, products and all."""
    from galshift.recipes.steps.make_mocks import MakeMocks, product_paths

    first = dataset
    if len(dataset) > _TIMED:
        first = Head(dataset, _TIMED)
    out = folder / "trial.h5"
    context = Context(device=device, out=out)
    step = MakeMocks()
    step.produce(config, Head(dataset, min(_WARM, len(dataset))), folder, context)
    began = time.perf_counter()
    step.produce(config, first, folder, context)
    seconds = time.perf_counter() - began
    size = sum(path.stat().st_size for path in product_paths(config, out))
    return seconds / len(first), size / len(first)


class Head:
    """The first images of a data set, as a data set.

    Parameters
    ----------
    dataset : Dataset
    n : int
    """

    def __init__(self, dataset: Any, n: int) -> None:
        self._dataset, self._n = dataset, n
        self.name, self.path = dataset.name, dataset.path

    def __len__(self) -> int:
        return self._n

    @property
    def info(self) -> Any:
        """The whole data set's metadata."""
        return self._dataset.info

    def read(self, indices: Any) -> Any:
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
