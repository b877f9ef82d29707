"""The class mix of a data set without labels, and whether its premise holds: within a class, alike images.

The estimate is the mix that makes the calibrated answers most likely.  Its interval is a bootstrap over
galaxies of the source and of the data.  Two tests ask whether the data can be a mixture of the source's
classes at all.  *Mixture*: the answers, cut into cells by class and by one of three numbers (confidence,
strength of the logits, length of the features), against the best mixture of what the source's classes give,
by a likelihood ratio whose distribution is simulated.  *Agreement*: the estimate against the one that undoes
the confusion of the answers alone, which a gap moves otherwise.  Both are blind to a change that makes images
of one class just like the source's images of another.

References
----------
Estimate: Saerens, Latinne & Decaestecker 2002 (Neural Computation 14, 21); Alexandari et al. 2020
(arXiv:1901.06852); Garg et al. 2020 (arXiv:2003.07554).  Confusion: Lipton, Wang & Smola 2018
(arXiv:1802.03916).  The distribution of a likelihood ratio by simulation: Davison & Hinkley 1997, chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.special import log_softmax, logsumexp, xlogy

from galshift.errors import DataError
from galshift.evaluation.bootstrap import numbered
from galshift.selection._calibration import calibrate
from galshift.selection.label_shift import bbse, class_mix, expectation_maximisation, recognises_all
from galshift.streams import numpy_stream

#: Level at which a test that fails refuses the estimate, after the correction for their number (Bonferroni).
LEVEL = 0.05
#: Galaxies of each class of the source, below which nothing is estimated.
FEWEST = 8
_BINS = 3  # of each number, within an answer
_MOST = 4000  # galaxies of the data in a resample: more would not narrow what the source leaves open
_LEAST_REST = 0.5  # of the width of an interval that is never taken for chance
_STEPS = 200  # of the fit of the mixture


@dataclass(frozen=True)
class Outputs:
    """What one network gives for images.

    Attributes
    ----------
    logits : ndarray
        (N, K), finite.
    groups : ndarray
        (N,) the galaxy of each image.
    features : ndarray or None
        (N, D).
    labels : ndarray or None
        (N,) in [0, K); of the source.
    """

    logits: np.ndarray
    groups: np.ndarray
    features: np.ndarray | None = None
    labels: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Outputs:
        """Return the images at `rows` (M,)."""
        held = (self.logits, self.groups, self.features, self.labels)
        return Outputs(*(None if one is None else one[rows] for one in held))

    def one_each(self) -> Outputs:
        """Return the first image of each galaxy."""
        return self.at(np.sort(np.unique(self.groups, return_index=True)[1]))


@dataclass(frozen=True)
class LabelFree:
    """The mix of a data set by label shift.

    Attributes
    ----------
    source, estimate, low, high : ndarray
        (K,) mix of the source's labels; of the data, with its 95 % interval.
    confusion : ndarray
        (K,) the estimate that undoes the confusion of the answers.
    tests : dict of str to float
        p value of each test, before the correction for their number.
    draws : ndarray
        (B, K) the bootstrap's estimates.
    """

    source: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    confusion: np.ndarray
    tests: dict[str, float]
    draws: np.ndarray = field(repr=False)

    @property
    def p(self) -> float:
        """The least p value, corrected for the number of tests."""
        return min(1.0, len(self.tests) * min(self.tests.values()))

    @property
    def worst(self) -> str:
        """The test with the least p value."""
        return min(self.tests, key=lambda name: self.tests[name])

    @property
    def holds(self) -> bool:
        """Whether no test rejects the premise."""
        return self.p >= LEVEL


def label_free(source: Outputs, target: Outputs, *, n_bootstrap: int = 300, seed: int = 0) -> LabelFree:
    """Return the class mix of the target's galaxies, its interval, and the tests of its premise.

    Parameters
    ----------
    source : Outputs
        Of held-out images with labels.
    target : Outputs
        Each galaxy counts once, by its first image.
    n_bootstrap : int
        Resamples of galaxies for the interval, and simulations for the tests.
    seed : int

    Raises
    ------
    DataError
        When the source has too few galaxies of a class, or one that the network never recognises.
    """
    check_source(source)
    target = target.one_each()
    rng = numpy_stream(seed, "count", "label-free")
    both = _estimates(source, target, None)
    draws = np.stack(
        [
            _estimates(source.at(drawn), target.at(rows), both[0])
            for drawn, rows in _resamples(source, len(target.groups), n_bootstrap, rng)
        ]
    )
    tests = {"agreement": _agreement(both[0] - both[1], draws[:, 0] - draws[:, 1])}
    draws[:, 0] = _of_these(draws[:, 0], both[0], len(target.groups))
    low, high = np.quantile(draws[:, 0], [0.025, 0.975], axis=0)
    low, high = np.minimum(low, both[0]), np.maximum(high, both[0])
    tests |= mixture_tests(source.one_each(), target, n_simulated=n_bootstrap, rng=rng)
    mix = class_mix(source.labels, source.logits.shape[1])
    return LabelFree(mix, both[0], low, high, both[1], tests, draws[:, 0])


def check_source(source: Outputs) -> None:
    """Refuse held-out images of the source that cannot say how their classes are answered.

    Raises
    ------
    DataError
    """
    n_classes = source.logits.shape[1]
    once = source.one_each()
    counts = np.bincount(once.labels, minlength=n_classes)
    if counts.min() < FEWEST:
        raise DataError(
            f"only {counts.min()} held-out galaxies of one class of the source: without labels of the data "
            f"nothing is estimated from fewer than {FEWEST}"
        )
    if not recognises_all(source.logits, source.labels):
        raise DataError("the network never recognises one of its classes in held-out images of the source")


def _estimates(source: Outputs, target: Outputs, start: np.ndarray | None) -> np.ndarray:
    """Return (2, K): the most likely mix, and the one that undoes the confusion of answers."""
    prior = class_mix(source.labels, source.logits.shape[1])
    calibrated = calibrate(source.logits, source.labels)(target.logits)
    likely = expectation_maximisation(calibrated, prior, start=start, tolerance=1e-6, max_iterations=1000)
    p = [np.exp(log_softmax(one.logits, axis=1)) for one in (source, target)]
    return np.stack([likely, bbse(source.labels, *p, soft=False) * prior])


def _resamples(
    source: Outputs, n_target: int, n: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of the source, galaxies with all their images, and of the target, drawn with replacement.

    A draw of the source without one of its classes is drawn again.
    """
    group, n_groups = numbered(source.groups, len(source.groups))
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    present = len(np.unique(source.labels))
    for _ in range(n):
        drawn = np.zeros(0, dtype=int)
        while len(np.unique(source.labels[drawn])) < present:
            drawn = np.concatenate([members[i] for i in rng.integers(0, n_groups, n_groups)])
        yield drawn, rng.integers(0, n_target, min(n_target, _MOST))


def _of_these(draws: np.ndarray, estimate: np.ndarray, n: int) -> np.ndarray:
    """Return (B, K) draws for the mix of these `n` galaxies, from those for galaxies of their kind.

    A resample also varies as another sample of the sky would, by p (1 - p) / n, which is no error of a count.
    """
    spread = draws.var(axis=0)
    chance = estimate * (1 - estimate) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = np.where(spread > 0, np.sqrt(np.clip(1 - chance / spread, _LEAST_REST**2, 1)), 1.0)
    return np.clip(estimate + rest * (draws - estimate), 0, 1)


def _agreement(found: np.ndarray, drawn: np.ndarray) -> float:
    """Return the p value of a difference (K,) of two estimates, from (B, K) resampled ones."""
    centred = drawn - drawn.mean(axis=0)
    inverse = np.linalg.pinv(np.cov(centred.T), rcond=1e-6, hermitian=True)
    size = np.einsum("bi,ij,bj->b", centred, inverse, centred)
    return float((1 + (size >= found @ inverse @ found).sum()) / (1 + len(drawn)))


def mixture_tests(
    source: Outputs, target: Outputs, *, n_simulated: int, rng: np.random.Generator
) -> dict[str, float]:
    """Return the p value that the target is a mixture of the source's classes, for each way to cut answers.

    Parameters
    ----------
    source, target : Outputs
        One image of each galaxy.
    n_simulated : int
    rng : Generator
    """
    numbers: dict[str, Callable[[Outputs], np.ndarray]] = {
        "confidence": lambda o: log_softmax(o.logits, axis=1).max(axis=1),
        "logits": lambda o: logsumexp(o.logits, axis=1),
    }
    if source.features is not None and target.features is not None:
        numbers["features"] = lambda o: np.linalg.norm(o.features, axis=1)
    found = {}
    for name, number in numbers.items():
        cells = cut(source.logits, number(source), target.logits, number(target))
        found[f"mixture by {name}"] = mixture_p(source.labels, *cells, n_simulated=n_simulated, rng=rng)
    return found


def cut(
    source_logits: np.ndarray, source: np.ndarray, target_logits: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of source and target images: their answer, and within it thirds of a number.

    The thirds are those of both data sets together, each image of the smaller one counting for more.

    Parameters
    ----------
    source_logits, target_logits : ndarray
        (M, K) and (N, K).
    source, target : ndarray
        (M,) and (N,): the number that is cut.

    Returns
    -------
    source, target : ndarray
        (M,) and (N,) int in [0, 3 K).
    """
    answers = source_logits.argmax(axis=1), target_logits.argmax(axis=1)
    cells = [np.zeros(len(one), dtype=int) for one in answers]
    for k in range(source_logits.shape[1]):
        mine = [values[answer == k] for values, answer in zip((source, target), answers, strict=True)]
        edges = [np.quantile(one, np.arange(1, _BINS) / _BINS) for one in mine if len(one)]
        if edges:
            edge = np.mean(edges, axis=0)
            for cell, values, answer in zip(cells, (source, target), answers, strict=True):
                cell[answer == k] = k * _BINS + np.searchsorted(edge, values[answer == k])
    return cells[0], cells[1]


def mixture_p(
    labels: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    *,
    n_simulated: int,
    rng: np.random.Generator,
) -> float:
    """Return the p value of the likelihood ratio of a mixture against any distribution over cells.

    Parameters
    ----------
    labels, source : ndarray
        (M,) class and cell of images of the source.
    target : ndarray
        (N,) cells of the target's.
    n_simulated : int
    rng : Generator
    """
    n_classes, n_cells = labels.max() + 1, max(source.max(), target.max()) + 1
    known = np.zeros((1, n_classes, n_cells))
    np.add.at(known[0], (labels, source), 1)
    mixed = np.bincount(target, minlength=n_cells)[None].astype(float)
    observed, shares, mix = _ratio(known, mixed)
    draws = [
        rng.multinomial(int(n), p / p.sum(), size=n_simulated)
        for n, p in zip(known[0].sum(axis=1), shares[0], strict=True)
    ]
    total = mix[0] @ shares[0]
    simulated, _, _ = _ratio(
        np.stack(draws, axis=1).astype(float),
        rng.multinomial(len(target), total / total.sum(), size=n_simulated).astype(float),
    )
    return float((1 + (simulated >= observed[0] - 1e-9).sum()) / (1 + n_simulated))


def _ratio(known: np.ndarray, mixed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the mixture to (B, K, C) counts by class and (B, C) without; return ratios, shares and mixes."""
    n, total = known.sum(axis=2, keepdims=True), mixed.sum(axis=1)[:, None]
    shares = (known + 0.1) / (known + 0.1).sum(axis=2, keepdims=True)
    mix = np.full(known.shape[:2], 1 / known.shape[1])
    for _ in range(_STEPS):
        joint = mix[:, :, None] * shares
        part = joint * (mixed / np.maximum(joint.sum(axis=1), 1e-300))[:, None, :]
        weight = part.sum(axis=2)
        mix = weight / total
        shares = (known + part) / (n + weight[:, :, None])
    free = xlogy(known, known / n).sum(axis=(1, 2)) + xlogy(mixed, mixed / total).sum(axis=1)
    q = np.einsum("bk,bkc->bc", mix, shares)
    bound = xlogy(known, np.maximum(shares, 1e-300)).sum(axis=(1, 2))
    bound += xlogy(mixed, np.maximum(q, 1e-300)).sum(axis=1)
    return 2 * (free - bound), shares, mix
