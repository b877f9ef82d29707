"""From "does one event fool the model?" to "which share of galaxies does one exposure get wrong?".

Events fall on a stamp as a Poisson process.  With q the probability that one event, at a random place and of
random strength, fools the model on an image, and L the expected events on the stamp, the image is
misclassified with probability 1 - exp(-L q), each event taken alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.intervals import wilson_interval
from galshift.streams import numpy_stream


def misclassified_per_exposure(
    shares: Sequence[float], events: float, *, exposures: float = 1.0, n_bootstrap: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return the share of galaxies that the events of one exposure get wrong.

    Parameters
    ----------
    shares : sequence of float
        (N,) probability that one event fools the model, by image; images that are wrong already are left out.
    events : float
        Expected events on one stamp in one exposure.
    exposures : float
        Exposures in the stack, for the share that would be wrong if no event were rejected.
    n_bootstrap, seed : int
        For the 95% interval over images.  Where no event fools the model on any image, its upper end is
        that of Wilson's interval for none of N, times the chance that a stamp is struck at all.

    Returns
    -------
    dict
        ``events_per_stamp``, ``fraction_per_exposure`` with ``ci95``, and
        ``fraction_per_stack_unrejected``.
    """
    q = np.asarray(shares, dtype=np.float64)
    wrong = _struck(events * q)
    interval = [float(wrong.mean())] * 2
    if not wrong.any():
        interval = [0.0, wilson_interval(0, len(q))[1] * float(_struck(events))]
    elif n_bootstrap:
        rng = numpy_stream(seed, "one-pixel-attack", "rate")
        means = [wrong[rng.integers(0, len(q), len(q))].mean() for _ in range(n_bootstrap)]
        interval = [float(end) for end in np.quantile(means, (0.025, 0.975))]
    return {
        "events_per_stamp": float(events),
        "fraction_per_exposure": float(wrong.mean()),
        "ci95": interval,
        "exposures": float(exposures),
        "fraction_per_stack_unrejected": float(_struck(events * exposures * q).mean()),
    }


def _struck(mean: np.ndarray | float) -> np.ndarray:
    """Return the probability of at least one event where `mean` are expected, exact when rare."""
    return 0.0 - np.expm1(-np.asarray(mean, dtype=np.float64))
