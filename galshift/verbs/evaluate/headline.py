"""The line that a terminal shows of one network on one data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from galshift.evaluation.metric import Metric, shown_in


def headline(
    numbers: Mapping[str, Any],
    metrics: Sequence[Metric],
    form: Callable[[float | None], str | None],
    always: str,
) -> str:
    """Return the headline metrics in a line, the first with its interval, then what is `always` reached.

    Parameters
    ----------
    numbers : mapping
        As in ``metrics.json``, where None stands for a number that is not defined.
    metrics : sequence of Metric
    form : callable
        How a bound of an interval is written; None where it is not defined.
    always : str
        What the same answer for every image reaches, in words.
    """
    words = []
    for place, metric in enumerate(shown_in("headline", metrics)):
        value = numbers[metric.key]
        low, high = (form(bound) for bound in numbers["ci95"].get(metric.key) or (None, None))
        interval = f" ({low} to {high})" if place == 0 and low is not None else ""
        words.append(metric.says(value) + interval if value is not None else f"{metric.name} not defined")
    return ", ".join([*words, always])
