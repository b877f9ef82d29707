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
    """Draw `n` outlines as the paper's data has them, one third of each class in turn.

    A pixel wide at 100 pixels, on or off: lines between any two points; upright rectangles with a centre in
    the middle half that reach up to the edge; turned ellipses with axes of 10 to 30 pixels, called circles,
    with a centre anywhere but the outer tenth.  A narrow rectangle may look like a line.

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
        `images` (n, 1, size, size) of 0 and `peak`, dimensionless.

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
    """Return one outline of 0 and 1: the pixels whose centre the line of a hundredth of the side covers."""
    x, y = np.meshgrid(np.arange(size, dtype=np.float64), np.arange(size, dtype=np.float64))
    unit = size / 100
    if shape == "line":
        return _line(x, y, *rng.integers(0, size, (2, 2)), unit)
    low, high = (10, 90) if shape == "circle" else (25, 75)
    x0, y0 = unit * rng.integers(low, high, 2)
    room = 2 * np.minimum([x0, y0], [size - x0, size - y0]) / unit
    if shape == "circle":
        room = room.clip(10, 30)
        width, height = unit * rng.integers(10, room.astype(int) + 1)
        turn = rng.uniform(0, np.pi)
        along = (x - x0) * np.cos(turn) + (y - y0) * np.sin(turn)
        across = (y - y0) * np.cos(turn) - (x - x0) * np.sin(turn)
        outer = np.hypot(along / (width / 2), across / (height / 2)) <= 1
        inner = np.hypot(along / (width / 2 - unit), across / (height / 2 - unit)) <= 1
        return outer & ~inner
    width, height = unit * rng.integers(1, room.astype(int) + 1)
    outside = np.maximum(np.abs(x - x0) - width / 2, np.abs(y - y0) - height / 2)
    return (-unit / 2 < outside) & (outside <= unit / 2)


def _line(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
    """The pixels within half a width of the straight line between two points."""
    step = (end - start).astype(float)
    length = max(float(np.hypot(*step)), 1.0)
    part = (((x - start[0]) * step[0] + (y - start[1]) * step[1]) / length**2).clip(0, 1)
    return np.hypot(x - start[0] - part * step[0], y - start[1] - part * step[1]) <= width / 2
