"""What a metric is: one row, from which intervals, tables, figures, headlines and ``metrics.json`` are made.

A new one is one object, in this package or in another that names it in the entry-point group
``galshift.metrics``::

    from galshift.evaluation import METRICS, Metric

    def kappa(sample):
        table = sample.table  # (B, K, K) weighted counts, true class first
        total = table.sum(axis=(1, 2))
        right = np.trace(table, axis1=1, axis2=2) / total
        chance = (table.sum(axis=1) * table.sum(axis=2)).sum(axis=1) / total**2
        return (right - chance) / (1 - chance)

    KAPPA = Metric("kappa", "Cohen's kappa", kappa, labels="class", source="Cohen 1960")
    METRICS.register("class.kappa")(KAPPA)  # or, in pyproject.toml: "class.kappa" = "my_package:KAPPA"
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from galshift.errors import ConfigError
from galshift.registry import Registry

if TYPE_CHECKING:
    import numpy as np

Labels = Literal["class", "value", "votes"]
Place = Literal["table", "figure", "headline", "seeds", "error bars"]

METRICS = Registry("metric", "galshift.metrics")
# What the document of a data set holds besides metrics.
_TAKEN = {
    "n", "n_groups", "n_unlabelled", "n_flagged", "n_bootstrap", "ci95", "labelled", "label_kind", "labels",
    "role", "split", "path", "per_class", "confusion", "majority_class", "majority_class_accuracy", "unknown",
    "training_mean", "mean_of_training", "outlier_threshold", "photo_z",
}  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One number that says how well a network does on a test set.

    Attributes
    ----------
    key : str
        Its name in ``metrics.json``.
    name : str
        Its name for people, such as ``macro F1``.
    function : callable
        Gives (B,) numbers, NaN where not defined, of a sample: B weighted draws of the galaxies of a test set
        at once, such as :class:`galshift.evaluation.classes.ClassSample`, ``values.ValueSample`` or
        ``votes.VoteSample``.  ``sample.mean(x)`` is the weighted mean of (N,) numbers, one an image.
    labels : {"class", "value", "votes"}
        The kind of labels that it is for.
    better : {"higher", "lower", "zero"}
        Which values are the better ones; ``zero`` of a signed number.
    proportion : bool
        Whether it is a share, in [0, 1].
    shown : tuple of str
        Where, besides ``metrics.json``: ``table`` and ``figure`` of the report, ``headline`` in the terminal,
        ``seeds`` of a repeated training, ``error bars`` (the table beside those figures, of values).
    over_classes : bool
        Whether it is a mean over classes, and so only as well known as the rarest of them.
    floor : bool
        Whether always giving the same answer has a value of it that is worth comparing with.
    interval : bool
        Whether a table shows the interval too.
    phrase : str
        How a headline says it, from ``name`` and ``value``.
    summary, source : str
        One line on what it is; and the paper or convention.
    """

    key: str
    name: str
    function: Callable[..., np.ndarray]
    labels: Labels = "class"
    better: Literal["higher", "lower", "zero"] = "higher"
    proportion: bool = False
    shown: tuple[Place, ...] = ("table",)
    over_classes: bool = False
    floor: bool = True
    interval: bool = True
    phrase: str = "{name} {value:.3g}"
    summary: str = ""
    source: str = ""

    def says(self, value: float) -> str:
        """Return the phrase of a headline."""
        return self.phrase.format(name=self.name, value=value)


def add(metric: Metric) -> Metric:
    """Register a metric of this package under its kind of labels and its key."""
    return METRICS.register(f"{metric.labels}.{metric.key}")(metric)


def metrics_for(labels: Labels, first: Sequence[Metric] = ()) -> tuple[Metric, ...]:
    """Return the metrics of one kind of labels: `first` in their order, then what else is registered.

    Raises
    ------
    ConfigError
        When two have the same key, or one has a key that ``metrics.json`` uses for something else.
    """
    others = [METRICS.get(name) for name in METRICS.available()]
    found = (*first, *(one for one in others if one.labels == labels and one not in first))
    keys = [one.key for one in found]
    for one in found[len(first) :]:
        if keys.count(one.key) > 1 or one.key in _TAKEN:
            raise ConfigError(
                f"the metric '{one.name}' has the key '{one.key}', which is taken",
                hint="give it another key",
            )
    return found


def shown_in(place: Place, metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """Return those of `metrics` that are shown in `place`, in their order."""
    return tuple(one for one in metrics if place in one.shown)
