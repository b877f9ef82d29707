"""Honest numbers from few images: intervals, paired tests, and searches that gave up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> dict[str, float | int]:
    """Compare two models on the same images by McNemar's exact test.

    Parameters
    ----------
    first, second : sequence of bool
        (N,) whether each model was fooled on each image.

    Returns
    -------
    dict
        ``only_first``, ``only_second`` (discordant pairs), ``both``, ``neither`` and the two-sided exact
        binomial ``p``; p is 1 where no pair is discordant.

    References
    ----------
    McNemar 1947, Psychometrika 12, 153.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"paired samples differ in length: {a.shape} and {b.shape}")
    only_first, only_second = int((a & ~b).sum()), int((~a & b).sum())
    discordant = only_first + only_second
    p = 1.0
    if discordant:
        from scipy.stats import binomtest

        p = float(binomtest(only_first, discordant, 0.5).pvalue)
    both, neither = int((a & b).sum()), int((~a & ~b).sum())
    return {"only_first": only_first, "only_second": only_second, "both": both, "neither": neither, "p": p}


def query_quartiles(queries: Sequence[int], flipped: Sequence[bool]) -> dict[str, float | None]:
    """Return quartiles of the queries a search needs, its failures censored at what they spent.

    The product-limit estimate: a failure says only that more queries than its budget are needed, so a mean
    over the successes would flatter the model.  A quartile that the estimate never reaches is None.

    Parameters
    ----------
    queries : sequence of int
        (N,) queries until the flip, or spent without one.
    flipped : sequence of bool
        (N,) whether the search succeeded.

    References
    ----------
    Kaplan & Meier 1958, JASA 53, 457.
    """
    names = {"q25": 0.75, "median": 0.5, "q75": 0.25}
    steps = flip_curve(queries, flipped)
    found: dict[str, float | None] = {}
    for name, survival in names.items():
        reached = [count for count, share in steps if 1 - share <= survival + 1e-12]
        found[name] = reached[0] if reached else None
    return found


def flip_curve(queries: Sequence[int], flipped: Sequence[bool]) -> list[tuple[int, float]]:
    """Return (queries, estimated share of images flipped by then), one point per distinct number of queries.

    Failures are censored (:func:`query_quartiles`).
    """
    queries, flipped = np.asarray(queries), np.asarray(flipped, dtype=bool)
    points, survival = [], 1.0
    for count in np.unique(queries[flipped]):
        at_risk = int((queries >= count).sum())
        survival *= 1 - int((queries[flipped] == count).sum()) / at_risk
        points.append((int(count), 1 - survival))
    return points
