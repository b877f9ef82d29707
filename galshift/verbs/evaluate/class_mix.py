"""The class mix of each test set, estimated from predictions and held-out source images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.runs.answers import Answers
from galshift.runs.test_sets import TestSet
from galshift.selection.label_shift import MixEstimate, class_mix, estimate_mix, recognises_all

_FEWEST = 20  # images of the source, below which a confusion table means nothing


def estimates(sets: Sequence[TestSet], answers: Mapping[str, Answers]) -> dict[str, MixEstimate]:
    """Return the estimated class mix of every data set but the source, by name.

    Parameters
    ----------
    sets : sequence of TestSet
    answers : mapping
        Set name to the answers of one classifier: the source-only one, whose errors on the source hold in
        both domains if anything does.

    Returns
    -------
    dict
        Empty without enough labelled images of the source, or where one of its classes is never recognised.
    """
    source = next((s for s in sets if s.role == "source" and s.labelled), None)
    if source is None:
        return {}
    own = answers[source.name]
    known = own.usable & (source.labels >= 0)
    if known.sum() < _FEWEST:
        return {}
    if not recognises_all(own.centre[known], source.labels[known]):
        return {}
    logits = np.log(np.clip(own.centre[known], 1e-12, None))
    found = {}
    for s in sets:
        if s is source:
            continue
        target = answers[s.name]
        p = np.clip(target.centre[target.usable], 1e-12, None)
        try:
            found[s.name] = estimate_mix(logits, source.labels[known], np.log(p))
        except DataError:  # no image gave an answer
            continue
    return found


def predicted_mix(answers: Answers) -> np.ndarray:
    """Return the share (K,) of each class among the most probable ones of a data set."""
    p = answers.centre[answers.usable]
    return class_mix(p.argmax(axis=1), p.shape[1])


def described(estimate: MixEstimate, classes: Sequence[str]) -> dict[str, Any]:
    """Return an estimate for ``metrics.json``."""
    named = {
        part: dict(zip(classes, map(float, getattr(estimate, part)), strict=True))
        for part in ("source", "target", "low", "high")
    }
    return {
        "method": estimate.method,
        "source": named["source"],
        "estimate": named["target"],
        "ci95": {name: [named["low"][name], named["high"][name]] for name in classes},
        "shift": estimate.shift,
        "shifted": estimate.shifted,
    }
