"""Intervals that several parts share: Wilson's of a proportion, Student's of a mean of repetitions."""

from __future__ import annotations

import math
from collections.abc import Sequence


def wilson_interval(successes: float, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion.

    Parameters
    ----------
    successes : float
        In [0, `trials`]; a fraction of a success is a mean over several images of one galaxy.
    trials : int
    confidence : float
        In (0, 1).

    Returns
    -------
    low, high : float
        In [0, 1]; (0, 1) without trials, where nothing is known.

    References
    ----------
    Wilson 1927, JASA 22, 209.
    """
    if trials == 0:
        return 0.0, 1.0
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and n of n the interval ends at exactly 0 and 1; rounding must not move it.
    low = 0.0 if successes == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if successes == trials else min(1.0, (centre + spread) / scale)
    return low, high


def student_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of repetitions, and Student's t interval of it.

    Parameters
    ----------
    values : sequence of float
    confidence : float
        In (0, 1).

    Returns
    -------
    mean, low, high : float
        The bounds are NaN for fewer than two values, of whose spread nothing is known.

    References
    ----------
    Student 1908, Biometrika 6, 1.
    """
    n = len(values)
    mean = math.fsum(values) / n if n else math.nan
    if n < 2:
        return mean, math.nan, math.nan
    from scipy.special import stdtrit

    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * math.sqrt(variance / n)
    return mean, mean - half, mean + half
