"""Choose between trained networks without target labels: the one with the highest expected accuracy.

Expected is what a network's own answers tell (`galshift.doubt.predicted`).  One thing goes before: where
every network says that the class mix is another than the source's, and source-only gives consistent accounts
of it, the first network stays, for the others were pulled towards the source's mix.
``tests/benchmarks/pairs/choice.py`` measures both rules, and what others that were dropped would have given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.doubt.evidence import evidence
from galshift.doubt.predicted import predict_accuracy
from galshift.selection import DEFAULT, SELECTORS
from galshift.selection._base import Candidate
from galshift.selection.label_shift import class_mix
from galshift.selection.mix_evidence import is_another_mix


@dataclass(frozen=True)
class Choice:
    """Which of several networks was chosen without target labels, and by what.

    Attributes
    ----------
    selector, chosen : str
    scores : dict
        Candidate to the score that decides, higher is better; None: dropped.
    source : dict
        Candidate to balanced accuracy on the source's validation images.
    mixes : dict
        Candidate to the share of each class in its target predictions.
    another_mix : bool
        Whether the target's class mix is taken for another than the source's, so that the first was kept.
    """

    selector: str
    chosen: str
    scores: dict[str, float | None]
    source: dict[str, float]
    mixes: dict[str, list[float]]
    another_mix: bool = False

    def document(self) -> dict[str, Any]:
        """Return it for ``selection.json``."""
        return {
            "selector": self.selector,
            "chosen": self.chosen,
            "scores": self.scores,
            "source_balanced_accuracy": self.source,
            "predicted_mix": self.mixes,
            "another_mix": self.another_mix,
        }


def choose(candidates: Mapping[str, Candidate], selector: str = DEFAULT) -> Choice:
    """Return the candidate that `selector` ranks highest, the first of equals.

    Parameters
    ----------
    candidates : mapping
        Name to candidate, first the one not to leave without need: source-only.
    selector : str
        `DEFAULT`, or one of ``galshift list selectors``, whose margin the first is then given.
    """
    names = list(candidates)
    first, margin = names[0], 0.0
    if selector == DEFAULT:
        found = {name: _expected(one) for name, one in candidates.items()}
    else:
        margin = SELECTORS.get(selector).margin
        told = SELECTORS.get(selector)()(list(candidates.values()))
        found = {name: float(score) for name, score in zip(names, told, strict=True)}
    ranked = {name: score if np.isfinite(score) else -np.inf for name, score in found.items()}
    chosen = max(names, key=ranked.get)
    another = selector == DEFAULT and is_another_mix(*candidates.values())
    if another or not ranked[chosen] > ranked[first] + margin:
        chosen = first
    validation = SELECTORS.get("source-validation")()
    return Choice(
        selector=selector,
        chosen=chosen,
        scores={name: score if np.isfinite(score) else None for name, score in ranked.items()},
        source={n: validation.score(c) for n, c in candidates.items() if c.has_source},
        mixes={n: class_mix(c.predictions_target, c.n_classes).tolist() for n, c in candidates.items()},
        another_mix=another,
    )


def _expected(one: Candidate) -> float:
    """The accuracy that a network's own answers speak of; -inf without labelled images or finite outputs."""
    if not (one.has_source and one.usable):
        return -np.inf
    signs = evidence(one.probabilities_source_val, one.labels_source_val, one.probabilities_target)
    # Unclipped: two networks beyond the end of the scale still differ.
    return signs.source_accuracy + predict_accuracy(signs).change
