"""Of each classifier on each data set but the source: the accuracy expected, and whether to trust it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import softmax

from galshift.data.paths import bare_name
from galshift.domains.account import read_accounts
from galshift.doubt.evidence import Evidence, evidence, lost_agreement
from galshift.doubt.predicted import predict_accuracy
from galshift.doubt.verdict import judge
from galshift.errors import DataError
from galshift.runs.classifiers import Classifier
from galshift.runs.doubt import LEAST, replaces_statistics, source_of
from galshift.runs.test_sets import TestSet
from galshift.timing import timed
from galshift.verbs.evaluate.baselines import Compared
from galshift.verbs.evaluate.result import Evaluation

KEY = "predicted_accuracy"
FOREST = "the morphology forest"

Both = tuple[np.ndarray, np.ndarray]  # probabilities of the same images, by two classifiers


@timed("evaluation")
def with_doubt(found: Evaluation, compared: Compared | None, device: str) -> Evaluation:
    """Return `found` with ``predicted_accuracy``, ``verdict`` and what they rest on among its metrics.

    Labels of the data sets that are judged are not asked for.  Where a run has no held-out labelled images
    of its source, nothing is said, and a warning says so.
    """
    if found.main.trained.head.kind != "class":
        return found
    outcomes, notes = dict(found.outcomes), []
    source = next((s for s in found.sets if s.role == "source" and s.labelled), None)
    for c in found.classifiers:
        for s in (one for one in found.sets if one.role != "source"):
            try:
                said = _of(found, compared, c, source, s, device)
            except DataError as error:
                where = "" if error.where is None else f" ({bare_name(error.where)})"
                notes.append(f"No accuracy is predicted for {c.name} on {s.name}: {error.what}{where}.")
                continue
            outcome = outcomes[c.name, s.name]
            known = {**outcome.metrics, **said}
            known["ci95"] = {**outcome.metrics.get("ci95", {}), **said["ci95"]}
            outcomes[c.name, s.name] = replace(outcome, metrics=known)
    return replace(found, outcomes=outcomes, warnings=(*found.warnings, *dict.fromkeys(notes)))


def _of(
    found: Evaluation,
    compared: Compared | None,
    c: Classifier,
    source: TestSet | None,
    s: TestSet,
    device: str,
) -> dict[str, Any]:
    """What ``metrics.json`` says of one classifier on one data set."""
    answers = found.answers(c, s)
    target = answers.centre[answers.usable]
    witnesses = {} if source is None else _witnesses(found, compared, c, source, s)
    seen, labels = _on_source(found, c, source, device)
    if min(len(seen), len(target)) < LEAST:
        raise DataError(f"fewer than {LEAST} images of the source or of {s.name} can be compared")
    others = [one for one in found.classifiers if one.name in witnesses]
    rivals = {one.name: _alone(found, one, source, s, device) for one in others}
    signs = replace(evidence(seen, labels, target, witnesses, rivals), striped=_striped(found, s))
    expected = predict_accuracy(signs)
    return {
        KEY: expected.accuracy,
        "ci95": {KEY: list(expected.ci95)},
        **judge(signs, expected).document(),
        "doubt": {**expected.document(), "signs": signs.document()},
    }


def _striped(found: Evaluation, s: TestSet) -> float:
    """How many more of the target's images have rows or columns of one value, by what the run recorded."""
    known = read_accounts(found.main.trained.path.parent)
    if s.role != "target" or not {"source", "target"} <= set(known):
        return 0.0
    return max(0.0, known["target"].striped - known["source"].striped)


def _alone(found: Evaluation, c: Classifier, source: TestSet | None, s: TestSet, device: str) -> Evidence:
    """The evidence of a network by itself."""
    answers = found.answers(c, s)
    return evidence(*_on_source(found, c, source, device), answers.centre[answers.usable])


def _on_source(
    found: Evaluation, c: Classifier, source: TestSet | None, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of held-out images of the source, in the order of the evaluation's classes."""
    name = None if source is None else _there(found, c.name)
    if name is None:
        logits, labels = source_of(c.trained, device)
        columns = [c.trained.classes.index(name) for name in found.classes]
        return softmax(logits, axis=1)[:, columns], np.argsort(columns)[labels]
    answers = found.answers(name, source)
    known = answers.usable & (source.labels >= 0)
    return answers.centre[known], source.labels[known]


def _there(found: Evaluation, name: str) -> str | None:
    """Return which network answers for a classifier on the source: itself, but for the target's statistics.

    The source does not bear the batch-norm statistics of the target: a network that has them was its
    companion before.  None where that is not among the classifiers.
    """
    c = next(one for one in found.classifiers if one.name == name)
    if not replaces_statistics(c.trained):
        return name
    before = found.compared
    return before.name if before is not None and not before.given else None


def _witnesses(
    found: Evaluation, compared: Compared | None, c: Classifier, source: TestSet, s: TestSet
) -> dict[str, float]:
    """What each independent classifier says of `c`: the network beside it, and the morphology forest."""
    beside = found.main.name if c.name == found.reference else found.reference
    mine, told = _there(found, c.name), {}
    if mine is None:
        return {}
    theirs = None if beside in (None, c.name) else _there(found, beside)
    if theirs is not None and not np.array_equal(
        found.answers(beside, s).centre, found.answers(c.name, s).centre, equal_nan=True
    ):  # a copy is no witness
        there = _answered(found, mine, found.answers(theirs, source).centre, source)
        told[beside] = _lost(there, _answered(found, c.name, found.answers(beside, s).centre, s))
    if compared is not None and {source.name, s.name} <= set(compared.witness):
        (at, says), (at_target, says_there) = (compared.witness[one.name] for one in (source, s))
        there = _answered(found, mine, says, source, at)
        told[FOREST] = _lost(there, _answered(found, c.name, says_there, s, at_target))
    return {name: change for name, change in told.items() if change is not None}


def _answered(
    found: Evaluation, name: str, others: np.ndarray, s: TestSet, places: np.ndarray | None = None
) -> Both:
    """What a classifier and another one (M, K) answer for the images at `places`, where both do."""
    mine = found.answers(name, s).centre
    mine = mine if places is None else mine[places]
    good = np.isfinite(mine).all(axis=1) & np.isfinite(others).all(axis=1)
    return mine[good], others[good]


def _lost(there: Both, here: Both) -> float | None:
    """The agreement that is lost between the source and the target; None for too few images of either."""
    if min(len(there[0]), len(here[0])) < LEAST:
        return None
    return lost_agreement((there[0], here[0]), (there[1], here[1]))
