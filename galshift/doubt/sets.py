"""Prediction sets: for each image the classes that cannot be ruled out, with a stated share of truths inside.

Split conformal prediction with the score ``1 - p`` of the true class (Sadinle, Lei & Wasserman 2019, JASA
114, 223), weighted by class where the mix differs from the source's (Podkopaev & Ramdas 2021, UAI,
arXiv:2103.03323, eq. 7).  What is promised rests on an assumption: within a class, the images look to the
network as the source's do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galshift.selection._calibration import Calibration, calibrate


@dataclass(frozen=True)
class PredictionSets:
    """Which classes an image may be of.

    Attributes
    ----------
    level : float
        Share of images whose true class is to be in its set, in (0, 1).
    least : ndarray
        (K,) calibrated probability from which on a class is in the set.
    calibration : Calibration
        Of the logits, on the source.
    """

    level: float
    least: np.ndarray
    calibration: Calibration

    def members(self, logits: np.ndarray) -> np.ndarray:
        """Return which classes are in the set of each image, (N, K) bool, for (N, K) logits; none for NaN."""
        with np.errstate(invalid="ignore"):
            return self.calibration(logits) >= self.least


def prediction_sets(
    logits: np.ndarray, labels: np.ndarray, level: float = 0.9, weights: np.ndarray | None = None
) -> PredictionSets:
    """Return sets that hold the truth of a share `level` of images like the source's.

    Parameters
    ----------
    logits : ndarray
        (M, K) of held-out images of the source.
    labels : ndarray
        (M,) their classes.
    level : float
        In (0, 1).
    weights : ndarray, optional
        (K,) how much more of each class the target holds than the source; default: as much.
    """
    calibration = calibrate(logits, labels, with_bias=False)
    weights = np.ones(logits.shape[1]) if weights is None else np.asarray(weights, dtype=float)
    score = 1 - calibration(logits)[np.arange(len(labels)), labels]
    order = np.argsort(score)
    reached = np.cumsum(weights[labels][order])
    # An image of class k counts with its own weight and a score above all (eq. 7).
    shares = reached[:, None] / (reached[-1] + weights)
    enough = shares >= level - 1e-12
    first = enough.argmax(axis=0)
    least = np.where(enough.any(axis=0), 1 - score[order][first], 0.0)
    # A hair below, so that the image that set the bound is inside whatever the rounding.
    return PredictionSets(level, least - 1e-12, calibration)


def in_words(members: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Return each set (N, K) as the names of its classes with `` | `` between; empty for an empty set."""
    kinds, which = np.unique(members, axis=0, return_inverse=True)
    named = [" | ".join(name for name, there in zip(classes, row, strict=True) if there) for row in kinds]
    return np.array(named, dtype=str)[which.reshape(-1)]
