"""What a baseline is, and each domain's features on a common footing: zero mean and unit variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galshift.streams import stream_seed

if TYPE_CHECKING:
    from galshift.data.preprocess import Preprocessing

Predict = Callable[[np.ndarray], np.ndarray]


class Baseline:
    """A classifier of a few numbers an image; subclass it once, in ``evaluation/baselines/<name>.py``.

    Class attributes
    ----------------
    title : str
        What it is called in a sentence.
    """

    title: ClassVar[str]

    def features(self, linear: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
        """Return (N, D) float64 features of (N, C, S, S) finite linear images; NaN where not measured.

        What an image has must not depend on the others.
        """
        raise TypeError(f"{type(self).__name__} has no features()")

    def learn(self, features: np.ndarray, labels: np.ndarray, n_classes: int, seed: int) -> Predict:
        """Return what gives (M, K) probabilities for (M, D) features, learnt from (N, D) and (N,) labels."""
        raise TypeError(f"{type(self).__name__} has no learn()")


@dataclass(frozen=True)
class Standardise:
    """Features less a mean, over a spread.

    Attributes
    ----------
    mean, spread : ndarray
        (D,), both finite, `spread` above 0.
    """

    mean: np.ndarray
    spread: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return standardised (N, D) features; NaN where they are."""
        return (features - self.mean) / self.spread


def standardise_by(features: np.ndarray) -> Standardise:
    """Return what gives the measured values of (N, D) features zero mean and unit variance, column by column.

    A column that is constant or was never measured is only shifted.
    """
    known = np.isfinite(features)
    n = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, features, 0.0).sum(axis=0) / n
    spread = np.sqrt(np.square(np.where(known, features - mean, 0.0)).sum(axis=0) / n)
    return Standardise(mean, np.where(spread > 0, spread, 1.0))


def library_seed(seed: int, name: str) -> int:
    """Return the 32-bit seed of scikit-learn's random numbers for the baseline `name`."""
    return stream_seed(seed, "baselines", name) % (1 << 32)


def in_all_classes(probabilities: np.ndarray, known: np.ndarray, n_classes: int) -> np.ndarray:
    """Return (M, K) probabilities from the columns of the `known` classes; 0 for those never seen."""
    out = np.zeros((len(probabilities), n_classes))
    out[:, known] = probabilities
    return out
