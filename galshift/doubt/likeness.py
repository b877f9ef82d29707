"""How much more often the target than the source has an answer as sure as this one.

A ratio of densities by a classifier of domains (Bickel, Brückner & Scheffer 2009, JMLR 10, 2137; Sugiyama,
Suzuki & Kanamori 2012), on the shape of the answers alone: whatever the class, noise makes them less sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_RANGE = 4.0  # logarithm of a ratio beyond which a few images would stand for all
_LEAST = 1e-4  # probability below which a second class is as good as none


@dataclass(frozen=True)
class Ratio:
    """Density of the target over that of the source at an answer.

    Attributes
    ----------
    mean, spread : ndarray
        (3,) of the shape of answers.
    slopes : ndarray
        (3,)
    intercept : float
    """

    mean: np.ndarray
    spread: np.ndarray
    slopes: np.ndarray
    intercept: float

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Return (N,) ratios of (N, K) probabilities, within a factor of 55 of 1; NaN for NaN."""
        scaled = (shape_of(probabilities) - self.mean) / self.spread
        return np.exp(np.clip(scaled @ self.slopes + self.intercept, -_RANGE, _RANGE))


def shape_of(probabilities: np.ndarray) -> np.ndarray:
    """Return (N, 3) for (N, K): highest, logarithm of the second, and entropy [nat]."""
    ranked = np.sort(probabilities, axis=1)
    safe = np.maximum(probabilities, 1e-9)
    second = np.log(np.maximum(ranked[:, -2], _LEAST))
    return np.column_stack([ranked[:, -1], second, -(probabilities * np.log(safe)).sum(axis=1)])


def likeness(source: np.ndarray, target: np.ndarray) -> Ratio:
    """Return the ratio that a logistic regression sees between answers on two domains.

    Parameters
    ----------
    source, target : ndarray
        (M, K) and (N, K) probabilities.
    """
    from sklearn.linear_model import LogisticRegression

    shapes = [shape_of(one) for one in (source, target)]
    mean, spread = shapes[0].mean(axis=0), shapes[0].std(axis=0) + 1e-9
    domain = np.repeat([0, 1], [len(source), len(target)])
    # Either domain counts as half, so that the odds are the ratio.
    even = np.repeat([len(domain) / (2 * len(one)) for one in shapes], [len(one) for one in shapes])
    fit = LogisticRegression(max_iter=500).fit(
        (np.concatenate(shapes) - mean) / spread, domain, sample_weight=even
    )
    return Ratio(mean, spread, fit.coef_[0], float(fit.intercept_[0]))
