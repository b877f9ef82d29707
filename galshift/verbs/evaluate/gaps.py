"""The gap between source and target in the features of each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from galshift.errors import DataError
from galshift.evaluation.gap import domain_gap
from galshift.runs.classifiers import Classifier
from galshift.runs.number_answers import Answers
from galshift.runs.test_sets import TestSet
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.result import Outcome


def gaps_between(
    classifiers: Sequence[Classifier],
    sets: Sequence[TestSet],
    outcomes: Mapping[tuple[str, str], Outcome | Answers],
    config: EvaluateConfig,
) -> dict[str, dict[str, Any]]:
    """Return each classifier's gap between source and target; empty without such a pair."""
    pair = [s for s in sets if s.role in ("source", "target")]
    pair = pair if len(pair) == 2 else list(sets) if len(sets) == 2 else []
    found = {}
    for c in classifiers if pair else ():
        one, two = (outcomes[c.name, s.name].features for s in pair)
        try:
            gap = domain_gap(
                one,
                two,
                groups_a=pair[0].groups,
                groups_b=pair[1].groups,
                n_permutations=config.n_permutations,
                seed=config.seed,
            )
        except DataError:  # fewer galaxies than a gap needs: the report then has none
            continue
        found[c.name] = {"between": [s.name for s in pair], **gap}
    return found
