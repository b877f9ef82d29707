"""What a corruption is: five levels, and a pure function of one linear image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Frame:
    """What a corruption may know of the images.

    Attributes
    ----------
    sky_sigma : ndarray
        (C,) robust noise of the training images, in the unit of the linear images.
    """

    sky_sigma: np.ndarray

    @property
    def sigma(self) -> np.ndarray:
        """The noise as (C, 1, 1)."""
        return np.asarray(self.sky_sigma, dtype=np.float64)[:, None, None]


class Corruption:
    """One kind of damage.  Subclass once, in ``galshift/audit/corruptions/<name>.py``.

    Class attributes
    ----------------
    version : int
        Raised when its numbers change.
    levels : tuple of float
        What severities 1 to 5 mean, mild to strong.
    unit : str
        Of the levels, in words.
    min_bands : int
        Fewest bands that it makes sense for.
    """

    version: ClassVar[int] = 1
    levels: ClassVar[tuple[float, ...]]
    unit: ClassVar[str]
    min_bands: ClassVar[int] = 1

    def apply(self, image: np.ndarray, level: float, frame: Frame, rng: np.random.Generator) -> np.ndarray:
        """Return the damaged linear image (C, H, W); `image` is float64 and is not changed."""
        raise TypeError(f"{type(self).__name__} has no apply()")


def directions(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return (n, 2) unit vectors in random directions."""
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def new_sky(image: np.ndarray, frame: Frame, rng: np.random.Generator) -> np.ndarray:
    """Return (C, H, W) of sky as it is along the border of `image`: its median, and the training noise."""
    edges = (image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1])
    edge = np.concatenate(edges, axis=1)
    return np.median(edge, axis=1)[:, None, None] + frame.sigma * rng.standard_normal(image.shape)
