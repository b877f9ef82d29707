"""The fraction of a class in a finite set of galaxies, from a random sample of labels and answers to all.

Two forms.  *Strata*: the galaxies that the network gives the class, whose number is known exactly, and the
others; in each the labels say how many are of the class, with Jeffreys' prior, and the galaxies that nobody
labelled are drawn from that.  It needs no large numbers, uses no probability, and is as valid for a wrong
network as for a right one: such a one only gains nothing.  *Prediction-powered*: the mean prediction less its
mean error on the labels, weighted by how well the two correlate, with a normal interval; narrower where the
probabilities say more than the answer, but it needs many labels and many errors among them.
``tests/benchmarks/counts.py`` measures both.

References
----------
Prediction-powered inference: Angelopoulos et al. 2023 (Science 382, 669, arXiv:2301.09633); its weight:
Angelopoulos, Duchi & Zrnic 2023 (arXiv:2311.01453, example 6.1).  Jeffreys' interval of a binomial: Brown,
Cai & DasGupta 2001 (Statistical Science 16, 101).  Strata after sampling: Holt & Smith 1979 (JRSS A 142, 33).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from galshift.streams import numpy_stream

#: Labels of and not of the class, and labelled galaxies that the network has wrong, from which on the normal
#: form is used.
MANY, MANY_WRONG = 30, 15
_DRAWS = 20_000
_PRIOR = 0.5  # Jeffreys


@dataclass(frozen=True)
class Fraction:
    """A fraction with its 95 % interval.

    Attributes
    ----------
    estimate, low, high : float
        In [0, 1].
    form : str
        ``strata`` or ``prediction-powered``.
    """

    estimate: float
    low: float
    high: float
    form: str


@dataclass(frozen=True)
class Sampled:
    """A random sample of labels from a set of galaxies with predictions.

    Attributes
    ----------
    is_class : ndarray
        (n,) bool, of the labelled galaxies.
    labelled : ndarray
        (n,) their places among the M galaxies that the sample was drawn from.
    score : ndarray
        (M,) predicted probability of the class, in [0, 1].
    stratum : ndarray
        (M,) int: 0 where the network gives the class, and other numbers elsewhere.  Within a stratum all
        galaxies had the same chance to be drawn.
    n_beyond : int
        Further galaxies of the population of which those M are a random part.
    """

    is_class: np.ndarray
    labelled: np.ndarray
    score: np.ndarray
    stratum: np.ndarray
    n_beyond: int = 0

    @property
    def n_population(self) -> int:
        """Number of galaxies whose fraction is asked for."""
        return len(self.score) + self.n_beyond


def class_fraction(sample: Sampled, seed: int = 0, *, simple: bool = True) -> Fraction:
    """Return the fraction by the form that holds for these numbers.

    Parameters
    ----------
    sample : Sampled
    seed : int
    simple : bool
        Whether all galaxies had the same chance, which the normal form needs.
    """
    n, hits = len(sample.is_class), int(sample.is_class.sum())
    wrong = int(((sample.stratum[sample.labelled] == 0) != sample.is_class).sum())
    if simple and min(hits, n - hits) >= MANY and wrong >= MANY_WRONG:
        unlabelled, mine = np.delete(sample.score, sample.labelled), sample.score[sample.labelled]
        # A network that is wrong on the whole tells nothing to the one, and all to the other.
        if len(unlabelled) > 1 and mine[sample.is_class].mean() > mine[~sample.is_class].mean():
            return prediction_powered(sample.is_class, mine, unlabelled, population=sample.n_population)
    return by_strata(sample, seed)


def summing_to_one(fractions: Sequence[Fraction]) -> list[Fraction]:
    """Return the fractions of all classes, each of which was estimated by itself, scaled to a sum of one.

    The intervals stay, and hold their estimates.
    """
    total = sum(one.estimate for one in fractions)
    scaled = [float(np.clip(one.estimate / total, one.low, one.high)) for one in fractions]
    return [replace(one, estimate=value) for one, value in zip(fractions, scaled, strict=True)]


def by_strata(sample: Sampled, seed: int = 0) -> Fraction:
    """Return the fraction from labels within strata, each galaxy without a label drawn from its stratum.

    The interval holds the central 95 % of those draws.  It reaches 0 (or 1) where no label (or every one) is
    of the class, and never excludes the estimate.
    """
    rng = numpy_stream(seed, "count", "strata")
    names, where = np.unique(sample.stratum, return_inverse=True)
    size = np.bincount(where)
    mine = where[sample.labelled]
    n = np.bincount(mine, minlength=len(names))
    hits = np.bincount(mine, weights=sample.is_class, minlength=len(names)).astype(int)
    # The prior of all strata without the class counts once: one for each would add up to a fraction.
    outside = names != 0
    prior = np.full(len(names), _PRIOR)
    prior[outside] *= size[outside] / max(size[outside].sum(), 1)
    total = np.zeros(_DRAWS)
    for a, x, m, whole in zip(prior, hits, n, size, strict=True):
        total += x + rng.binomial(whole - m, rng.beta(x + a, m - x + a, _DRAWS))
    inside = len(sample.score)
    if sample.n_beyond:
        total += rng.binomial(sample.n_beyond, rng.beta(total + _PRIOR, inside - total + _PRIOR))
    low, high = np.quantile(total / sample.n_population, [0.025, 0.975])
    share = np.where(n > 0, hits / np.maximum(n, 1), 0.5)
    estimate = float(size @ share / inside)
    all_hits, all_n = int(hits.sum()), int(n.sum())
    low = 0.0 if all_hits == 0 else min(low, estimate)
    high = 1.0 if all_hits == all_n else max(high, estimate)
    return Fraction(estimate, float(low), float(high), "strata")


def prediction_powered(
    labels: np.ndarray,
    predictions: np.ndarray,
    unlabelled: np.ndarray,
    *,
    weight: float | None = None,
    population: int | None = None,
) -> Fraction:
    """Return the mean label by prediction-powered inference, with its normal interval.

    ``weight * mean(unlabelled) + mean(labels - weight * predictions)``.

    Parameters
    ----------
    labels, predictions : ndarray
        (n,) 0 or 1, and in [0, 1], of a simple random sample; n > 1.
    unlabelled : ndarray
        (N,) predictions of galaxies without a label; N > 1.
    weight : float, optional
        Of the predictions; default the one in [0, 1] of the least variance.
    population : int, optional
        Number of galaxies whose mean is asked for, those n and N among them; None: of infinitely many, of
        which these are a sample, as in the papers.  The variance is less by that of the label over their
        number.
    """
    labels, predictions = np.asarray(labels, float), np.asarray(predictions, float)
    unlabelled = np.asarray(unlabelled, float)
    n, more = len(labels), len(unlabelled)
    if weight is None:
        together = np.concatenate([predictions, unlabelled]).var(ddof=1)
        shared = float(np.cov(labels, predictions, ddof=0)[0, 1])
        weight = shared / ((1 + n / more) * together) if together > 0 else 0.0
        weight = min(max(weight, 0.0), 1.0)
    rest = labels - weight * predictions
    estimate = float(weight * unlabelled.mean() + rest.mean())
    variance = weight**2 * unlabelled.var() / more + rest.var() / n
    if population is not None:
        variance = max(variance - labels.var() / population, 0.0)
    reach = float(norm.ppf(0.975)) * variance**0.5
    bounded = np.clip([estimate, estimate - reach, estimate + reach], 0, 1)
    return Fraction(*map(float, bounded), "prediction-powered")


def labels_alone(sample: Sampled, seed: int = 0) -> Fraction:
    """Return the fraction as the labels of a simple random sample tell it alone, for comparison."""
    return by_strata(replace(sample, stratum=np.ones(len(sample.score), dtype=int)), seed)
