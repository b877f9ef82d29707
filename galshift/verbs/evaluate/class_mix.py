"""The class mix of each judged data set, estimated from predictions and held-out source images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from galshift.errors import DataError
from galshift.selection.label_shift import MixEstimate, class_mix, estimate_mix, recognises_all

if TYPE_CHECKING:
    from galshift.runs.test_sets import TestSet
    from galshift.verbs.evaluate.result import Outcome

_FEWEST = 20  # images of the source, below which a confusion table means nothing


def estimates(
    classifier: str, sets: Sequence[TestSet], outcomes: Mapping[tuple[str, str], Outcome]
) -> dict[str, MixEstimate]:
    """Return the estimated class mix of every data set but the source, by name.

    Parameters
    ----------
    classifier : str
        Whose predictions are used: the source-only one, whose errors on the source hold in both domains if
        anything does.
    sets, outcomes
        As for the evaluation.

    Returns
    -------
    dict
        Empty without enough labelled images of the source, or where one of its classes is never recognised.
    """
    source = next((s for s in sets if s.role == "source" and s.labelled), None)
    if source is None:
        return {}
    outcome = outcomes[classifier, source.name]
    known = outcome.usable & (source.labels >= 0)
    if known.sum() < _FEWEST:
        return {}
    if not recognises_all(outcome.probabilities[known], source.labels[known]):
        return {}
    logits = np.log(np.clip(outcome.probabilities[known], 1e-12, None))
    found = {}
    for s in sets:
        if s is source:
            continue
        target = outcomes[classifier, s.name]
        p = np.clip(target.probabilities[target.usable], 1e-12, None)
        try:
            found[s.name] = estimate_mix(logits, source.labels[known], np.log(p))
        except DataError:  # no image gave an answer
            continue
    return found


def predicted_mix(outcome: Outcome) -> np.ndarray:
    """Return the share (K,) of each class among the most probable ones of a data set."""
    p = outcome.probabilities[outcome.usable]
    return class_mix(p.argmax(axis=1), p.shape[1])
