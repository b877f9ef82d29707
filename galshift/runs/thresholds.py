"""Thresholds of a run for a data set: chosen on its source, for the data's class mix where it can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import softmax

from galshift.errors import DataError
from galshift.evaluation.count_unlabelled import Outputs, label_free
from galshift.evaluation.thresholds import Chosen, choose
from galshift.runs.held_out import source_outputs
from galshift.training.checkpoint import Trained


class Rule(Protocol):
    """What is asked of a class: ``purity``, ``completeness`` or ``p``, and how much."""

    kind: str
    value: float


@dataclass(frozen=True)
class Selection:
    """The thresholds of some classes.

    Attributes
    ----------
    chosen : dict of str to Chosen
        By class.
    rules : dict of str to Rule
    mix : dict of str to float
        The class mix that they are for.
    of_data : bool
        Whether that is the data's, by label shift; False: the source's, and nothing is claimed for the data.
    note : str
        Why not, in a sentence; empty where it is the data's.
    """

    chosen: dict[str, Chosen]
    rules: Mapping[str, Rule]
    mix: dict[str, float]
    of_data: bool
    note: str = ""

    def columns(self, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return (N,) bool ``selected``: by any rule; where there are several, also ``selected_<class>``."""
        each = {
            name: np.nan_to_num(probabilities[:, classes.index(name)], nan=-1.0) >= one.threshold
            for name, one in self.chosen.items()
        }
        found = {"selected": np.any(list(each.values()), axis=0)}
        return found | ({f"selected_{name}": one for name, one in each.items()} if len(each) > 1 else {})

    def document(self) -> dict[str, Any]:
        """Return what is written of the thresholds, by class."""
        basis = "the data's class mix, estimated" if self.of_data else "the class mix of the source"
        return {
            name: {
                "rule": str(self.rules[name]),
                "threshold": one.threshold,
                "chosen_on": "source validation",
                "for": basis,
                "expected_purity": one.purity if self.of_data else None,
                "expected_completeness": one.completeness if self.of_data else None,
                "expected_contamination": 1 - one.purity if self.of_data else None,
                "contamination_ci95": [1 - one.purity_ci95[1], 1 - one.purity_ci95[0]]
                if self.of_data
                else None,
                "purity_on_source": one.purity if not self.of_data else None,
                "n_selected_of_source": one.n_selected,
            }
            for name, one in self.chosen.items()
        }

    def sentences(self) -> list[str]:
        """Return a sentence for each class, and why nothing is claimed where it is not."""
        told = []
        for name, one in self.chosen.items():
            text = f"{name} is selected from p_{name} = {one.threshold:.3f} on ({self.rules[name]})"
            if not np.isfinite(one.purity):
                text += "; no held-out image of the source is, so nothing is known of its contamination"
            elif self.of_data:
                low, high = (1 - bound for bound in one.purity_ci95[::-1])
                text += (
                    f": expected contamination {1 - one.purity:.1%} ({low:.1%} to {high:.1%}), completeness "
                    f"{one.completeness:.1%}"
                )
            told.append(f"{text}.")
        return [*told, *([self.note] if self.note else [])]


def select(
    trained: Trained, rules: Mapping[str, Rule], target: Outputs | None, device: str, *, seed: int = 0
) -> Selection:
    """Choose thresholds for a data set.

    Parameters
    ----------
    trained : Trained
    rules : mapping of str to Rule
        By class.
    target : Outputs or None
        What the network gives for the data; None for data with the source's own mix.
    device : str
    seed : int

    Raises
    ------
    DataError
        When the run has no record of its source's validation images, or a purity cannot be reached.
    """
    source = source_outputs(trained, device, parts=("valid",))
    classes = tuple(trained.classes)
    mix = np.bincount(source.labels, minlength=len(classes)) / len(source.labels)
    draws, note = None, ""
    if target is not None:
        found, note = _mix_of(trained, target, device, seed)
        if found is not None:
            mix, draws = found
    scores = softmax(source.logits, axis=1)
    chosen = {}
    for name, rule in rules.items():
        index = classes.index(name)
        sample = {"score": scores[:, index], "labels": source.labels, "groups": source.groups, "index": index}
        try:
            chosen[name] = choose(rule.kind, rule.value, **sample, mix=mix, draws=draws, seed=seed)
        except DataError as error:
            raise DataError(f"{name}: {error.what}", where="--threshold", hint=error.hint) from error
    named = dict(zip(classes, mix.tolist(), strict=True))
    return Selection(chosen, rules, named, not note, note)


def _mix_of(
    trained: Trained, target: Outputs, device: str, seed: int
) -> tuple[tuple[np.ndarray, np.ndarray] | None, str]:
    """Return the data's class mix with draws of it, or why it cannot be told."""
    begin = "Thresholds are chosen for the class mix of the source, and nothing is claimed for these data"
    try:
        found = label_free(source_outputs(trained, device), target, seed=seed)
    except DataError as error:
        return None, f"{begin}: {error.what}."
    if not found.holds:
        return None, f"{begin}: their mix cannot be told without labels (p = {found.p:.2g} by {found.worst})."
    return (found.estimate, found.draws), ""
