"""The accuracy that a classifier should have on images without labels, with an interval.

Of independent accounts of what is lost against the source the median is taken: a linear function of the
network's own signs (`galshift.doubt.evidence`), and the agreement that it loses with each independent
classifier there is; what two networks lose between them is the more one's, the more its own signs speak of a
loss.  No account is right under every gap, and they are wrong under different ones.  The
constants were fitted to stored runs on pairs of surveys of many kinds; ``coefficients.yaml`` says which, and
``tests/benchmarks/pairs/doubt.py`` measures how well they hold on kinds left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from galshift.doubt.evidence import ENOUGH, SIGNS, Evidence
from galshift.plain_yaml import load_plain

FILE = "coefficients.yaml"
_EVEN = 0.02  # of a loss: differences below it set no blame


@dataclass(frozen=True)
class Constants:
    """What was fitted.

    Attributes
    ----------
    intercept : float
    signs : ndarray
        (2,) factors of the signs, in order.
    width : tuple of float
        Half a 95 % interval of accuracy is ``width[0] + width[1] * |change|``.
    """

    intercept: float
    signs: np.ndarray
    width: tuple[float, float]


@dataclass(frozen=True)
class Predicted:
    """A predicted accuracy.

    Attributes
    ----------
    accuracy : float
        In [0, 1].
    ci95 : tuple of float
        Lower and upper bound, as often as not narrower than the truth where nothing like the gap was among
        the pairs that the constants come from.
    change : float
        Against the source's accuracy, in [-1, 1].
    accounts : dict of str to float
        What each account says of the change.
    """

    accuracy: float
    ci95: tuple[float, float]
    change: float
    accounts: dict[str, float]

    def document(self) -> dict[str, Any]:
        """Return it for ``metrics.json``."""
        return {"change": self.change, "accounts": self.accounts}


@cache
def constants() -> Constants:
    """Return the constants that galshift ships."""
    held = load_plain(resources.files("galshift.doubt").joinpath(FILE).read_text(encoding="utf-8"))
    factors = np.array([held["signs"][name] for name in SIGNS])
    return Constants(held["intercept"], factors, (held["width"]["least"], held["width"]["per_change"]))


def own_change(signs: np.ndarray, by: Constants) -> float:
    """Return the change of accuracy that a network's own signs (2,) speak of."""
    return float(by.intercept + by.signs @ np.asarray(signs))


def share_of_loss(own: float, other: float) -> float:
    """Return how much of the agreement that two networks lost counts for the first, in (0, 1].

    All of it, unless the other's own signs speak of the greater loss.

    Parameters
    ----------
    own, other : float
        Changes of accuracy that each one's own signs speak of.
    """
    mine, theirs = (max(-change, 0.0) + _EVEN for change in (own, other))
    return min(1.0, 2 * mine / (mine + theirs))


def _accounts(found: Evidence, by: Constants) -> dict[str, float]:
    own = own_change(found.signs, by)
    told = {"own": own}
    for name, lost in found.witnesses.items():
        rival = found.rivals.get(name)
        told[name] = lost if rival is None else lost * share_of_loss(own, own_change(rival, by))
    return told


def predict_accuracy(found: Evidence, by: Constants | None = None) -> Predicted:
    """Return the accuracy that the evidence speaks of.

    Parameters
    ----------
    found : Evidence
    by : Constants, optional
        Default: those that galshift ships.
    """
    by = constants() if by is None else by
    told = _accounts(found, by)
    change = float(np.median(list(told.values())))
    accuracy = float(np.clip(found.source_accuracy + change, 0, 1))
    half = math.hypot(by.width[0] + by.width[1] * abs(change), _fewer(found))
    # Of images with rows or columns of one value the answers tell nothing: all of them may be wrong.
    low = max(accuracy - half, 0.0) * (1 - found.striped)
    return Predicted(accuracy, (low, min(accuracy + half, 1.0)), change, told)


def _fewer(found: Evidence) -> float:
    """Half a 95 % interval by which fewer images than the stored runs have make a prediction less certain."""
    share = found.source_accuracy * (1 - found.source_accuracy)
    more = sum(max(0.0, 1 / n - 1 / k) for n, k in zip((found.n_source, found.n_target), ENOUGH, strict=True))
    return 1.96 * math.sqrt(share * more)
