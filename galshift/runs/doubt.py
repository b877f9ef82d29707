"""What a run's answers on a data set are worth: expected accuracy, verdict, and the sets of each image."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from galshift.domains.splits import absolute
from galshift.doubt.evidence import Evidence, evidence, lost_agreement
from galshift.doubt.predicted import Predicted, predict_accuracy
from galshift.doubt.sets import PredictionSets, in_words, prediction_sets
from galshift.doubt.verdict import TRUSTED, Verdict, judge
from galshift.errors import DataError
from galshift.methods import METHODS
from galshift.rundirectory import BASELINE
from galshift.runs.held_out import source_outputs, splits_of
from galshift.selection._base import Candidate
from galshift.selection.label_shift import class_mix
from galshift.selection.mix_evidence import CREDIBLE, estimated_mix
from galshift.selection.mix_evidence import evidence as evidence_of_mix
from galshift.training.checkpoint import FILE, Trained, load_checkpoint
from galshift.training.outputs import OUTPUTS, read_candidate

#: What the prediction sets promise rests on (`galshift.doubt.sets`).
ASSUMED = {
    "mix": "within a class, images look to the network as held-out images of its source do",
    "confidence": "images of which the network is as sure are as often what it says as in its source",
}
LEAST = 20  # images of either domain below which nothing is said


@dataclass(frozen=True)
class Doubt:
    """What is said of a run on a data set.

    Attributes
    ----------
    predicted : Predicted
    verdict : Verdict
    sets : PredictionSets
    mix : ndarray or None
        (K,) the class mix that the sets are weighted for; None: by how sure the answers are.
    classes : tuple of str
    """

    predicted: Predicted
    verdict: Verdict
    sets: PredictionSets
    mix: np.ndarray | None
    classes: tuple[str, ...]

    def columns(self, logits: np.ndarray) -> dict[str, np.ndarray]:
        """Return ``prediction_set`` (N,) and ``in_doubt`` (N,) bool: the set is not one class."""
        members = self.sets.members(logits)
        return {"prediction_set": in_words(members, self.classes), "in_doubt": members.sum(axis=1) != 1}

    def document(self) -> dict[str, Any]:
        """Return what a table's header and the results say."""
        low, high = self.predicted.ci95
        mix = None if self.mix is None else dict(zip(self.classes, self.mix.tolist(), strict=True))
        return {
            "predicted_accuracy": self.predicted.accuracy,
            "predicted_accuracy_ci95": [low, high],
            **self.verdict.document(),
            "doubt": self.predicted.document(),
            "prediction_sets": {
                "level": self.sets.level,
                "class_mix": mix,
                "assumes": ASSUMED["confidence" if self.mix is None else "mix"],
                "holds": self.verdict.word == TRUSTED,
            },
        }

    def sentences(self) -> list[str]:
        """Return what a terminal says."""
        low, high = self.predicted.ci95
        why = "; ".join(self.verdict.reasons)
        told = f"accuracy expected without labels {self.predicted.accuracy:.2f} ({low:.2f} to {high:.2f})"
        return [f"verdict: {self.verdict.word}; {told if self.verdict.word == TRUSTED else f'{told}: {why}'}"]


def doubt_of(
    trained: Trained,
    logits: np.ndarray,
    device: str,
    level: float,
    path: str,
    beside: Callable[[Trained], tuple[np.ndarray, np.ndarray]] | None = None,
) -> Doubt:
    """Return what the answers of a network to the images of a data set are worth.

    Parameters
    ----------
    trained : Trained
        For classes.
    logits : ndarray
        (N, K) of images of the data set, all finite.
    device : str
    level : float
        Of the prediction sets, in (0, 1).
    path : str
        Of the data set: what the run's own report says of its target, where it had witnesses, goes before.

    beside : callable, optional
        Returns what the run's network and the companion given to it answer to some of the images, (n, K)
        probabilities each: without a report of these data the companion is a witness.

    Raises
    ------
    DataError
        When the run has no held-out labelled images of its source, or there are too few of either.
    """
    seen, labels = source_of(trained, device)
    if min(len(seen), len(logits)) < LEAST:
        raise DataError(f"fewer than {LEAST} images of the source or of the data can be compared")
    told = reported(trained, path)
    if told is None:
        own = (softmax(seen, axis=1), labels, softmax(logits, axis=1))
        witness = _companion(trained, device, *own[:2], beside)
        found = evidence(*own, *witness)
        predicted = predict_accuracy(found)
        told = predicted, judge(found, predicted)
    predicted, verdict = told
    one = Candidate(logits, logits, seen, seen, labels, logits.shape[1])
    mix = estimated_mix(one)[0] if evidence_of_mix(one) > CREDIBLE else None
    weights = None if mix is None else mix / np.maximum(class_mix(labels, logits.shape[1]), 1e-3)
    sets = prediction_sets(seen, labels, level, weights, logits)
    return Doubt(predicted, verdict, sets, mix, tuple(trained.classes))


def _companion(
    trained: Trained,
    device: str,
    seen: np.ndarray,
    labels: np.ndarray,
    beside: Callable[[Trained], tuple[np.ndarray, np.ndarray]] | None,
) -> tuple[dict[str, float], dict[str, Evidence]]:
    """What the source-only network beside an adapted one is witness of, and its own evidence."""
    folder = trained.path.parent / BASELINE
    if beside is None or not (folder / FILE).is_file():
        return {}, {}
    other = load_checkpoint(folder)
    if tuple(other.classes) != tuple(trained.classes):
        return {}, {}
    mine, theirs = beside(other)
    logits, there = source_of(other, device)
    at_source = softmax(logits, axis=1)
    if replaces_statistics(trained):
        seen, labels = at_source, there  # the companion is what it was on the source
    # Both see the same images of the source, but for those that one of them cannot answer.
    alike = len(at_source) == len(seen) and np.array_equal(there, labels)
    if min(len(mine), len(seen)) < LEAST or not alike or np.array_equal(mine, theirs):
        return {}, {}
    lost = lost_agreement((seen, mine), (at_source, theirs))
    return {BASELINE: lost}, {BASELINE: evidence(at_source, there, theirs)}


def reported(trained: Trained, path: str) -> tuple[Predicted, Verdict] | None:
    """Return what a run's report says of its target; None where `path` is another, or it says nothing."""
    metrics, target = trained.path.parent / "metrics.json", splits_of(trained).get("target")
    if target is None or target.path != absolute(path) or not metrics.is_file():
        return None
    try:
        domains = json.loads(metrics.read_text(encoding="utf-8"))["results"][0]["domains"]
        (said,) = [one for one in domains.values() if one["role"] == "target"]
        low, high = said["ci95"]["predicted_accuracy"]
        accounts = {str(name): float(change) for name, change in said["doubt"]["accounts"].items()}
        change = float(said["doubt"]["change"])
        predicted = Predicted(float(said["predicted_accuracy"]), (float(low), float(high)), change, accounts)
        return predicted, Verdict(str(said["verdict"]), tuple(map(str, said["reasons"])))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None  # of another version, or a report that was not finished


def source_of(trained: Trained, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (M, K) and classes (M,) of held-out images of a run's source.

    Of a network that bears the target's batch-norm statistics they are those of before, for the source does
    not bear these.

    Raises
    ------
    DataError
        When the run has no such images, or they are gone.
    """
    folder = trained.path.parent
    if replaces_statistics(trained) and (folder / OUTPUTS).is_file():
        held = read_candidate(folder)
        return held.logits_source_val, held.labels_source_val
    outputs = source_outputs(trained, device)
    return outputs.logits, outputs.labels


def replaces_statistics(trained: Trained) -> bool:
    """Return whether a network bears the target's batch-norm statistics in place of its source's."""
    method = str(trained.meta.get("method", ""))
    return method in METHODS.names() and METHODS.get(method).replaces_statistics
