"""Lines, rectangles and circles: a task of the kind SIDDA is shown on (Pandya et al. 2025, arXiv:2501.14048).

For benchmarks of adaptation methods, made from nothing: clean drawings are the source, the same kind of
drawings under Poisson noise at a signal-to-noise ratio of 0.05 the target.
"""

from __future__ import annotations

import numpy as np

from galshift.data.cutouts import Cutouts
from galshift.errors import UsageError
from galshift.streams import numpy_stream

CLASSES = ("line", "rectangle", "circle")


def shapes(n: int, size: int = 100, seed: int = 42, *, peak: float = 1.0) -> Cutouts:
    """Draw `n` outlines at random places, sizes, angles and widths, one third of each class in turn.

    Parameters
    ----------
    n : int
        Images; image ``i`` depends on `seed` and ``i`` alone.
    size : int
        Pixels along a side, at least 16.
    seed : int
    peak : float
        Brightness of a line; the background is 0.

    Returns
    -------
    Cutouts
        `images` (n, 1, size, size) in [0, peak], antialiased, dimensionless.

    Raises
    ------
    UsageError
        When `n` or `size` is too small or `peak` not positive.
    """
    if n < 1 or size < 16 or not peak > 0:
        raise UsageError(
            f"cannot draw {n} shapes of {size} pixels and peak {peak:g}",
            hint="n of at least 1, size of at least 16 and a positive peak",
        )
    images = np.empty((n, 1, size, size), dtype=np.float32)
    labels = np.arange(n, dtype=np.int64) % len(CLASSES)
    for index, label in enumerate(labels):
        rng = numpy_stream(seed, "shapes", index)
        images[index, 0] = peak * _draw(CLASSES[label], size, rng)
    ids = np.array([f"s{seed}-shape{index:06d}" for index in range(n)])
    history = (f"shapes seed={seed} n={n}",)
    return Cutouts(images=images, ids=ids, labels=labels, classes=CLASSES, bands=("grey",), history=history)


def poisson_snr(images: np.ndarray, snr: float, seed: int, *, highest: float = 255.0) -> np.ndarray:
    """Add to every image Poisson noise of mean ``signal / snr - signal``, clipped to [0, `highest`].

    `signal` is the mean of the image over its pixels, so that `snr` is the mean of the drawing over the mean
    of drawing and noise.  Noise is whole numbers: an image of peak 1 is buried in steps of its own size.

    Parameters
    ----------
    images : ndarray
        (N, C, H, W), not negative.
    snr : float
        In (0, 1].
    seed : int
        Noise of image ``i`` depends on this, ``i`` and the image's own mean alone.
    highest : float
        Values above are cut.

    Returns
    -------
    ndarray
        (N, C, H, W) float32.

    Raises
    ------
    UsageError
        When `snr` lies outside (0, 1].
    """
    if not 0 < snr <= 1:
        raise UsageError(f"the signal-to-noise ratio must lie in (0, 1], not {snr:g}", where="snr")
    noisy = np.empty(images.shape, dtype=np.float32)
    for index, image in enumerate(images):
        signal = float(image.mean(dtype=np.float64))
        noise = numpy_stream(seed, "shapes", "poisson", index).poisson(signal / snr - signal, image.shape)
        noisy[index] = np.clip(image + noise, 0, highest)
    return noisy


def _draw(shape: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return one outline in [0, 1]: the share of each pixel within half a line width of it."""
    step = np.arange(size, dtype=np.float32) - (size - 1) / 2
    x, y = np.meshgrid(step, step)
    width = rng.uniform(1.0, 3.0)
    reach = rng.uniform(0.12, 0.32) * size
    x0, y0 = rng.uniform(-1, 1, 2) * (0.5 * size - reach - width)
    turn = rng.uniform(0, np.pi)
    along = (x - x0) * np.cos(turn) + (y - y0) * np.sin(turn)
    across = (y - y0) * np.cos(turn) - (x - x0) * np.sin(turn)
    if shape == "circle":
        distance = np.abs(np.hypot(along, across) - reach)
    elif shape == "line":
        distance = np.hypot(np.maximum(np.abs(along) - reach, 0), across)
    else:
        ratio = rng.uniform(0.3, 1.0)
        corner = np.hypot(1.0, ratio)  # the diagonal reaches as far as a circle's radius
        outside_x, outside_y = np.abs(along) - reach / corner, np.abs(across) - reach * ratio / corner
        inside = np.minimum(np.maximum(outside_x, outside_y), 0)
        distance = np.abs(np.hypot(np.maximum(outside_x, 0), np.maximum(outside_y, 0)) + inside)
    return np.clip(0.5 + width / 2 - distance, 0, 1).astype(np.float32)
