"""Completeness and purity of each class with their intervals, so that a rare class is seen as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.evaluation.bootstrap import percentile_interval, replicate_weights
from galshift.evaluation.class_sample import ClassScored, recall_and_f1
from galshift.intervals import wilson_interval

#: Galaxies below which an interval is Wilson's: too few for resampling them to tell.
FEW = 20


def per_class(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return precision, recall, f1 and n of each class from (K, K) counts, true class first."""
    recall, f1 = recall_and_f1(confusion)
    predicted = confusion.sum(axis=0)
    return {
        name: {
            "precision": float(confusion[k, k] / predicted[k]) if predicted[k] else float("nan"),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "n": int(confusion[k].sum()),
        }
        for k, name in enumerate(classes)
    }


def per_class_intervals(
    scored: ClassScored, classes: Sequence[str], n_bootstrap: int, seed: int
) -> dict[str, dict[str, list[float]]]:
    """Return the 95 % intervals of ``precision`` (purity) and ``recall`` (completeness) of each class.

    Percentiles over resampled galaxies; Wilson's over the galaxies that a share rests on where these are few,
    or all resamples agree.  [NaN, NaN] where a share is not defined.
    """
    pieces = [
        scored.sample(weights).table for weights in replicate_weights(scored.n_groups, n_bootstrap, seed)
    ]
    table, whole = np.concatenate(pieces), scored.confusion
    found: dict[str, dict[str, list[float]]] = {}
    for k, name in enumerate(classes):
        shares = {"precision": (table.sum(axis=1)[:, k], whole.sum(axis=1)[:, k])}
        shares["recall"] = (table.sum(axis=2)[:, k], whole.sum(axis=2)[:, k])
        found[name] = {}
        for key, (drawn, per_galaxy) in shares.items():
            with np.errstate(invalid="ignore", divide="ignore"):
                values = np.where(drawn > 0, table[:, k, k] / drawn, np.nan)
            found[name][key] = _interval(values, per_galaxy, whole[:, k, k])
    return found


def _interval(values: np.ndarray, per_galaxy: np.ndarray, hits: np.ndarray) -> list[float]:
    """The interval of a share of images, from its resamples and the images of each galaxy."""
    trials = int((per_galaxy > 0).sum())
    if not trials:
        return [float("nan"), float("nan")]
    low, high = percentile_interval(values)
    if trials >= FEW and high > low:
        return [low, high]
    share = hits.sum() / per_galaxy.sum()
    low, high = wilson_interval(share * trials, trials)
    return [float(low), float(high)]
