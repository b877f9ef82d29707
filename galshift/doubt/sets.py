"""Prediction sets: for each image the classes that cannot be ruled out, with a stated share of truths inside.

Split conformal prediction with the score ``1 - p`` of the true class (Sadinle, Lei & Wasserman 2019, JASA
114, 223), weighted for how the target differs.  Where its class mix does, by class (Podkopaev & Ramdas
2021, UAI, arXiv:2103.03323, eq. 7): the assumption is that within a class the images look to the network as
the source's do.  Otherwise by how often the target has answers as sure (Tibshirani, Barber, Candès &
Ramdas 2019, NeurIPS, arXiv:1904.06019, eq. 7): the assumption is that images of which the network is as sure
are as often what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galshift.doubt.likeness import Ratio, likeness
from galshift.selection._calibration import Calibration, calibrate

_HAIR = 1e-12  # so that the image that sets a bound is inside whatever the rounding


@dataclass(frozen=True)
class PredictionSets:
    """Which classes an image may be of.

    Attributes
    ----------
    level : float
        Share of images whose true class is to be in its set, in (0, 1).
    scores, reached : ndarray
        (M,) scores of the source's images in rising order, and the weight up to each.
    weigh : ndarray or Ratio
        (K,) weight of an image of each class, or what gives it by the answer.
    calibration : Calibration
        Of the logits, on the source.
    """

    level: float
    scores: np.ndarray
    reached: np.ndarray
    weigh: np.ndarray | Ratio
    calibration: Calibration

    def members(self, logits: np.ndarray) -> np.ndarray:
        """Return which classes are in the set of each image, (N, K) bool, for (N, K) logits; none for NaN."""
        p = self.calibration(logits)
        own = self.weigh(p)[:, None] if isinstance(self.weigh, Ratio) else self.weigh
        # The image counts with its own weight and a score above all.
        first = np.searchsorted(self.reached, self.level * (self.reached[-1] + own) - _HAIR)
        bounds = np.append(self.scores, 1.0)[first]
        with np.errstate(invalid="ignore"):
            return 1 - p <= bounds + _HAIR


def prediction_sets(
    logits: np.ndarray,
    labels: np.ndarray,
    level: float = 0.9,
    weights: np.ndarray | None = None,
    target: np.ndarray | None = None,
) -> PredictionSets:
    """Return sets that hold the truth of a share `level` of images.

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
    target : ndarray, optional
        (N, K) logits of the target, whose answers may be less or more sure; not looked at beside `weights`.
    """
    calibration = calibrate(logits, labels, with_bias=False)
    p = calibration(logits)
    weigh: np.ndarray | Ratio = np.ones(p.shape[1])
    if weights is not None:
        weigh = np.asarray(weights, dtype=float)
    elif target is not None:
        weigh = likeness(p, calibration(target))
    each = weigh(p) if isinstance(weigh, Ratio) else weigh[labels]
    score = 1 - p[np.arange(len(labels)), labels]
    order = np.argsort(score, kind="stable")
    return PredictionSets(level, score[order], np.cumsum(each[order]), weigh, calibration)


def in_words(members: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Return each set (N, K) as the names of its classes with `` | `` between; empty for an empty set."""
    kinds, which = np.unique(members, axis=0, return_inverse=True)
    named = [" | ".join(name for name, there in zip(classes, row, strict=True) if there) for row in kinds]
    return np.array(named, dtype=str)[which.reshape(-1)]
