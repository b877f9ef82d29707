"""From which probability on to select a class, and what purity and completeness to expect of that.

The threshold is chosen on held-out images of the source, which stand for those of another class mix by the
weights ``p_target(k) / p_source(k)``.  The best threshold of many flatters itself: what its choice gains on
resampled galaxies over all of them is taken off (Efron 1983, JASA 78, 316).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galshift.errors import DataError
from galshift.evaluation.bootstrap import numbered
from galshift.intervals import wilson_interval
from galshift.streams import numpy_stream

#: Images of the class above a threshold, below which no purity is claimed for it.
FEWEST = 5


@dataclass(frozen=True)
class Curve:
    """Purity and completeness of one class at every threshold, the highest first.

    Attributes
    ----------
    thresholds : ndarray
        (T,) falling; images with at least so much are selected.
    purity, completeness : ndarray
        (T,), or (B, T) under resampling weights; NaN where nothing is selected.
    hits : ndarray
        (T,) images of the class that are selected, not weighted.
    """

    thresholds: np.ndarray
    purity: np.ndarray
    completeness: np.ndarray
    hits: np.ndarray


def curve_of(score: np.ndarray, is_class: np.ndarray, weights: np.ndarray | None = None) -> Curve:
    """Return the curve of (N,) scores of one class under (N,) or (B, N) weights."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    last = np.r_[np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1]  # ties are selected together
    weights = np.ones(len(score)) if weights is None else weights
    mine = weights[..., order]
    right, total = (np.cumsum(one, axis=-1) for one in (mine * is_class[order], mine))
    with np.errstate(invalid="ignore", divide="ignore"):
        purity, completeness = (right / total)[..., last], (right / right[..., -1:])[..., last]
    return Curve(ordered[last], purity, completeness, np.cumsum(is_class[order])[last])


def place(kind: str, value: float, curve: Curve) -> int | None:
    """Return where on a curve of (T,) a rule leads; None where it cannot be met.

    Parameters
    ----------
    kind : {"purity", "completeness", "p"}
        ``purity``: the lowest threshold that reaches `value`, with at least `FEWEST` images of the class.
        ``completeness``: the highest that does.  ``p``: the threshold itself.
    value : float
    curve : Curve
    """
    if kind == "p":
        reached = np.flatnonzero(curve.thresholds >= value)
    elif kind == "completeness":
        found = np.flatnonzero(curve.completeness >= value - 1e-12)
        return int(found[0]) if found.size else None
    else:
        reached = np.flatnonzero((curve.purity >= value - 1e-12) & (curve.hits >= FEWEST))
    return int(reached[-1]) if reached.size else None


@dataclass(frozen=True)
class Chosen:
    """A threshold, and what to expect of it for a class mix.

    Attributes
    ----------
    threshold : float
    purity, completeness : float
        Expected; NaN where no held-out image of the source is selected.
    purity_ci95 : tuple of float
    n_selected : int
        Held-out images of the source that it selects.
    """

    threshold: float
    purity: float
    completeness: float
    purity_ci95: tuple[float, float]
    n_selected: int


def choose(
    kind: str,
    value: float,
    *,
    score: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    index: int,
    mix: np.ndarray,
    draws: np.ndarray | None = None,
    n_bootstrap: int = 300,
    seed: int = 0,
) -> Chosen:
    """Return the threshold of a rule for a class mix.

    Parameters
    ----------
    kind, value
        As of :func:`place`.
    score, labels, groups : ndarray
        (N,) of held-out images of the source: probability of the class, true class, galaxy.
    index : int
        The class.
    mix : ndarray
        (K,) class mix to expect.
    draws : ndarray, optional
        (B, K) how else the mix might be; default: it is known.
    n_bootstrap, seed : int
        Resamples of the source's galaxies.

    Raises
    ------
    DataError
        When the purity cannot be reached; the sentence says the best that can.
    """
    own = np.bincount(labels, minlength=len(mix)) / len(labels)
    is_class = labels == index
    whole = curve_of(score, is_class, (mix / np.maximum(own, 1e-12))[labels])
    here = place(kind, value, whole)
    if here is None and kind == "p":
        return Chosen(value, np.nan, np.nan, (np.nan, np.nan), 0)
    if here is None:
        raise _unreachable(value, whole)
    rng = numpy_stream(seed, "threshold")
    group, n_groups = numbered(groups, len(groups))
    times = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstrap)[:, group]
    mixes = np.broadcast_to(mix, (n_bootstrap, len(mix)))
    if draws is not None:
        mixes = draws[rng.integers(0, len(draws), n_bootstrap)]
    drawn = curve_of(score, is_class, times * (mixes / np.maximum(own, 1e-12))[:, labels])
    flattery = _flattery(kind, value, drawn, whole) if kind != "p" else 0.0
    at = drawn.purity[:, here]
    low, high = np.quantile(at[np.isfinite(at)], [0.025, 0.975])
    selected = score >= whole.thresholds[here]
    weights = (mix / np.maximum(own, 1e-12))[labels[selected]]
    n_effective = weights.sum() ** 2 / (weights**2).sum()
    # Where nearly all, or all, that is selected is right, resampling it shows less doubt than there is.
    floor = wilson_interval(float(whole.purity[here] * n_effective), n_effective)
    low, high = min(low, floor[0]) - flattery, max(high, floor[1]) - flattery
    threshold = value if kind == "p" else float(whole.thresholds[here])
    purity = float(np.clip(whole.purity[here] - flattery, 0, 1))
    bounds = (float(np.clip(low, 0, purity)), float(np.clip(high, purity, 1)))
    return Chosen(threshold, purity, float(whole.completeness[here]), bounds, int(selected.sum()))


def _flattery(kind: str, value: float, drawn: Curve, whole: Curve) -> float:
    """Return by how much a threshold is purer on the galaxies that it was chosen on than on all, or 0."""
    gains = []
    for purity, completeness in zip(drawn.purity, drawn.completeness, strict=True):
        one = Curve(drawn.thresholds, purity, completeness, drawn.hits)
        there = place(kind, value, one)
        if there is not None and np.isfinite(purity[there]):
            gains.append(purity[there] - whole.purity[there])
    return max(float(np.mean(gains)), 0.0) if gains else 0.0


def _unreachable(value: float, curve: Curve) -> DataError:
    """Say what purity can be had where the one that is wanted cannot."""
    usable = curve.hits >= FEWEST
    if not usable.any():
        return DataError(
            f"no purity can be promised: fewer than {FEWEST} held-out images of the source are of the class"
        )
    best = int(np.argmax(np.where(usable, curve.purity, -1)))
    return DataError(
        f"a purity of {value:g} is not to be had on these data: the best is {curve.purity[best]:.3f}, at a "
        f"completeness of {curve.completeness[best]:.3f}",
        hint=f"ask for purity:{np.floor(curve.purity[best] * 100) / 100:g}, or select by p",
    )
