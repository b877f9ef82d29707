"""Rows of numbers over seeds: means, their intervals, and which row is better than every other.

A row is best only where it is better than *every* other row of the same images, by Student's t over the
differences of the same seeds (Welch's where the seeds are not the same), at 95 % for all comparisons of a
test set together (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from galshift.evaluation import METRICS, Metric
from galshift.intervals import student_interval

_LEVEL = 0.05
_FEW = 3

Seed = tuple[Any, ...]


@dataclass(frozen=True)
class Score:
    """One metric of one row.

    Attributes
    ----------
    mean, low, high : float
        Student's t interval at 95 % over seeds; of one seed, that over galaxies; NaN where neither is.
    best : bool
    """

    mean: float
    low: float
    high: float
    best: bool = False


@dataclass
class Row:
    """One row of the table.

    Attributes
    ----------
    cell : dict
        Values of the axes that are no seeds; without an axis that makes no difference to this network.
    network, test_set : str
    values : dict of str to (dict of tuple to float)
        For each key the value of each seed.
    within : dict of str to (float, float)
        The interval over galaxies, of a row with one seed.
    problem : tuple
        What the rows share that can be compared: seeds, and the content of their test sets.
    scores : dict of str to Score
    """

    cell: dict[str, Any]
    network: str
    test_set: str
    values: dict[str, dict[Seed, float]] = field(default_factory=dict)
    within: dict[str, tuple[float, float]] = field(default_factory=dict)
    problem: dict[Seed, str] = field(default_factory=dict)
    adapted: bool = True
    scores: dict[str, Score] = field(default_factory=dict)

    @property
    def n_seeds(self) -> int:
        """How many repetitions there are."""
        return max(map(len, self.values.values()), default=0)


def metric_of(key: str) -> Metric | None:
    """Return the metric that a dotted key ends with, or None: a number that nothing is known of."""
    last = key.rpartition(".")[2]
    names = [name for name in METRICS.available() if name.partition(".")[2] == last]
    return METRICS.get(names[0]) if names else None


def name_of(key: str) -> str:
    """Return what a metric is called, with the class or label that it is of."""
    *parents, last = key.split(".")
    metric = metric_of(key)
    if len(parents) == 2 and parents[0] in ("per_class", "labels"):
        return f"{metric.name if metric else last} ({parents[1]})"
    return metric.name if metric else key


def score(row: Row, key: str) -> Score:
    """Return the mean of a row's `key` with its interval."""
    values = row.values[key]
    mean, low, high = student_interval(list(values.values()))
    if len(values) == 1 and key in row.within:
        low, high = row.within[key]
    return Score(mean, low, high)


def mark_best(rows: Sequence[Row], keys: Sequence[str]) -> None:
    """Mark the score of each row that is better than every other one on the same images."""
    problems: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        same = (row.test_set, tuple(sorted(row.problem.items(), key=str)))
        problems.setdefault(same, []).append(row)
    for among in problems.values():
        for key in keys:
            metric = metric_of(key)
            known = [row for row in among if key in row.scores]
            if metric is None or metric.better == "zero" or len(known) < 2:
                continue
            sign = 1.0 if metric.better == "higher" else -1.0
            first = max(known, key=lambda row: sign * row.scores[key].mean)
            level = 1 - _LEVEL / (len(known) - 1)
            others = [row.values[key] for row in known if row is not first]
            if all(_better(first.values[key], other, sign, level) for other in others):
                first.scores[key] = replace(first.scores[key], best=True)


def _better(one: Mapping[Seed, float], other: Mapping[Seed, float], sign: float, level: float) -> bool:
    """Return whether the interval of the difference between two rows lies above zero."""
    if one.keys() == other.keys():
        differences = [sign * (one[seed] - other[seed]) for seed in one]
        _, low, high = student_interval(differences, confidence=level)
        # Two equal differences of small test sets are no sign that there is no spread.
        return low > 0 and (high > low or len(differences) >= _FEW)
    return _welch(list(one.values()), list(other.values()), sign, level)


def _welch(one: Sequence[float], other: Sequence[float], sign: float, level: float) -> bool:
    """Return the same for seeds that are not the same (Welch 1947, Biometrika 34, 28)."""
    if min(len(one), len(other)) < 2:
        return False
    from scipy.special import stdtrit

    parts = []
    for values in (one, other):
        mean = math.fsum(values) / len(values)
        parts.append((mean, math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values)))
    variance = parts[0][1] + parts[1][1]
    if variance == 0:
        return False
    freedom = variance**2 / sum(
        part**2 / (len(values) - 1) for (_, part), values in zip(parts, (one, other), strict=True)
    )
    return sign * (parts[0][0] - parts[1][0]) > float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(variance)
