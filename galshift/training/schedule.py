"""The learning rate as a pure function of the step, so that a resumed run cannot lose its place."""

from __future__ import annotations

import math
from collections.abc import Sequence


def lr_factor(step: int, total: int, *, ramp: float, final: float, shape: str = "cosine") -> float:
    """Return the learning rate of `step` as a fraction of the highest.

    A linear rise over the first ``ramp * total`` steps, then half a cosine down to `final`
    (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5 without restarts), or a constant.

    Parameters
    ----------
    step : int
        From 0; the last is ``total - 1``.
    total : int
        Number of steps of the whole run.
    ramp : float
        Fraction of the steps that rise, in [0, 1).
    final : float
        The factor of the last step, in [0, 1].
    shape : str
        ``cosine`` or ``constant``.
    """
    rising = int(ramp * total)
    if step < rising:
        return (step + 1) / rising
    if shape == "constant":
        return 1.0
    done = (step - rising) / max(total - 1 - rising, 1)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def step_factor(epoch: float, milestones: Sequence[int], decay: float) -> float:
    """Return ``decay`` to the number of milestones that lie at or before `epoch`, counted from 0."""
    return decay ** sum(epoch >= one for one in milestones)


def inverse_factor(done: float) -> float:
    """Return ``(1 + 10 done)^-0.75``, `done` the fraction of all steps (Ganin et al. 2016, section 5.2.2)."""
    return (1 + 10 * min(max(done, 0.0), 1.0)) ** -0.75


def cycle_factor(epoch: float, length: float) -> float:
    """Return a triangle of 0.1 at both ends of each cycle of `length` epochs and 1 in its middle.

    Smith 2017 (arXiv:1506.01186), section 3.1.
    """
    place = epoch / length % 1.0
    return 0.1 + 0.9 * (1 - abs(2 * place - 1))


def adaptation_progress(step: int, first: int, total: int) -> float:
    """Return the fraction of the adaptation steps ``first ... total - 1`` done at `step`, in [0, 1]."""
    return min(max((step - first) / max(total - first, 1), 0.0), 1.0)
