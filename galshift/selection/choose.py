"""Choose between trained candidates without target labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from galshift.selection import DEFAULT, DEFAULT_EPOCH, SELECTORS
from galshift.selection._base import Candidate
from galshift.selection.information import has_failed
from galshift.selection.label_shift import class_mix
from galshift.selection.mix_evidence import believed_mix, clearest, evidence, is_credible

OPINIONS = (DEFAULT, "guarded", "infomax")

_FORGOTTEN = 0.2  # of source balanced accuracy behind the best, which rules out even a last resort

_DOUBT = 0.02  # of agreement, less is chance as often as not


@dataclass(frozen=True)
class Choice:
    """Which of several networks was chosen without target labels, and what each score says.

    Attributes
    ----------
    selector, chosen : str
    scores : dict
        Selector to candidate to score; the deciding one first, then second opinions.  None: dropped.
    source : dict
        Candidate to balanced accuracy on the source's validation images.
    mixes : dict
        Candidate to the share of each class in its target predictions.
    shifted_mix : list of float or None
        Where another class mix of the target is credible: what the chosen network says of it, whose answers
        are then corrected for it.
    evidence : dict
        Candidate to its evidence of the shift; empty without one.
    failed : bool
        Whether the first candidate's answers tell too little on the target for it to be an option.
    """

    selector: str
    chosen: str
    scores: dict[str, dict[str, float | None]]
    source: dict[str, float]
    mixes: dict[str, list[float]]
    shifted_mix: list[float] | None = None
    evidence: dict[str, float] = field(default_factory=dict)
    failed: bool = False

    @property
    def doubts(self) -> list[str]:
        """Sentences on second opinions that differ by more than two hundredths of agreement."""
        agreement = self.scores.get(DEFAULT, {})
        found = []
        ranked = {name: score for name, score in agreement.items() if score is not None}
        best = max(ranked, key=ranked.get, default=None)
        if (
            self.selector != DEFAULT
            and not self.evidence
            and best is not None
            and ranked.get(self.chosen) is not None
        ):
            gap = ranked[best] - ranked[self.chosen]
            if gap > _DOUBT:
                found.append(
                    f"The second opinion differs: by agreement with those that adapted (EnsV) {best} is "
                    f"best, {100 * gap:.0f} points before {self.chosen}, which was chosen."
                )
        return found

    def document(self) -> dict[str, Any]:
        """Return it for ``selection.json``."""
        return {
            "selector": self.selector,
            "chosen": self.chosen,
            "scores": self.scores,
            "source_balanced_accuracy": self.source,
            "predicted_mix": self.mixes,
            "shifted_mix": self.shifted_mix,
            "mix_evidence": self.evidence,
            "source_only_failed": self.failed,
            "doubts": self.doubts,
        }


def choose(
    candidates: Mapping[str, Candidate],
    selector: str = DEFAULT,
    *,
    aligning: Collection[str] = (),
) -> Choice:
    """Return the candidate that `selector` ranks highest, if it beats the first one by the selector's margin.

    The default asks for agreement with the mean of all but the first (EnsV), which the gap misleads, among
    those that have not forgotten the source; ``tests/benchmarks/transfer.py`` compares it with others.
    Where the first candidate has failed on the target (:mod:`galshift.selection.information`), information
    decides instead.

    Parameters
    ----------
    candidates : mapping
        Name to candidate, first the one not to leave without need: source-only.
    selector : str
        One of ``galshift list selectors``.
    aligning : collection of str
        Candidates whose method forces the source's class mix on the target.  Where the others make another
        mix credible and the default selector chooses, these are out, and the one whose accounts of the mix
        clearly agree best is taken, or else the first.
    """
    names, default = list(candidates), selector == DEFAULT
    fit = [n for n, c in candidates.items() if n not in aligning and c.has_source and c.usable]
    told = {name: evidence(candidates[name]) for name in fit} if default else {}
    shifted = bool(told) and is_credible(list(told.values()))
    failed = default and not shifted and has_failed(candidates[names[0]])
    if failed:
        selector = DEFAULT_EPOCH
    validation = SELECTORS.get("source-validation")()
    source = {n: validation.score(c) for n, c in candidates.items() if c.has_source}
    forgetful = {name for name, recall in source.items() if recall < max(source.values()) - _FORGOTTEN}
    silent = forgetful | {names[0]}
    voting = {name: replace(c, votes=name not in silent) for name, c in candidates.items()}
    scores = _scores(dict.fromkeys((selector, *OPINIONS)), voting)
    out = set(aligning) if shifted else forgetful if default else set()
    scores[selector] = {name: None if name in out else score for name, score in scores[selector].items()}
    ranked = {name: -np.inf if score is None else score for name, score in scores[selector].items()}
    chosen, plain = max(names, key=ranked.get), names[0]
    if not ranked[chosen] > ranked[plain] + (0 if failed else SELECTORS.get(selector).margin):
        chosen = plain
    mix = None
    if shifted:
        chosen = fit[clearest(list(told.values()))]
        mix = believed_mix(candidates[chosen]).tolist()
    return Choice(
        selector=selector,
        chosen=chosen,
        scores=scores,
        source=source,
        failed=failed,
        mixes={n: class_mix(c.predictions_target, c.n_classes).tolist() for n, c in candidates.items()},
        shifted_mix=mix,
        evidence=told if shifted else {},
    )


def _scores(
    selectors: Iterable[str], candidates: Mapping[str, Candidate]
) -> dict[str, dict[str, float | None]]:
    """Every selector's score of every candidate, None for what it drops."""
    scores = {}
    for name in selectors:
        found = SELECTORS.get(name)()(list(candidates.values()))
        scores[name] = {
            n: float(s) if np.isfinite(s) else None for n, s in zip(candidates, found, strict=True)
        }
    return scores
