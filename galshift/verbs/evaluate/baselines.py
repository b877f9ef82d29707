"""Classifiers without a network: fitted on the source's training part, scored on the same test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.evaluation.baselines import BASELINES
from galshift.evaluation.baselines._base import Baseline, standardise_by
from galshift.evaluation.baselines._measure import Depth, common_depth, measured
from galshift.evaluation.bootstrap import changes
from galshift.evaluation.class_sample import summarise
from galshift.evaluation.classes import ACCURACY, MACRO_F1, classification_metrics
from galshift.runs.answers import drawn_rows
from galshift.runs.test_sets import TestSet, matched_labels
from galshift.timing import timed
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.result import Evaluation

WITNESS = "morphology-forest"  # whose answers, as measured, are set against the networks'
NO_CLASSES = "Classifiers without a network, the baselines, are for one class an image: there are none here."
MOST_TRAIN, MOST_TEST = 2000, 1000  # images of a domain that are measured
BY = MACRO_F1.key  # what decides whether a baseline is beaten


@dataclass(frozen=True)
class Compared:
    """Baselines beside a network.

    Attributes
    ----------
    document : dict
        What ``metrics.json`` says of them.
    witness : dict of str to tuple of ndarray
        By test set, places (M,) in its rows and probabilities (M, K) of `WITNESS`; also without labels.
    """

    document: dict[str, Any]
    witness: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tested:
    """The images of one test set that baselines and network are compared on.

    Attributes
    ----------
    test_set : TestSet
    places : ndarray
        (M,) of the test set's rows that the network answers; of labelled sets those with a label.
    features : dict of str to ndarray
        By baseline, (M, D) of those images.
    training : dict of str to ndarray
        By baseline, (L, D) of the images of the same domain that were trained on.
    """

    test_set: TestSet
    places: np.ndarray
    features: dict[str, np.ndarray]
    training: dict[str, np.ndarray]


@timed("evaluation")
def baselines_of(found: Evaluation, config: EvaluateConfig) -> Compared | None:
    """Return baselines beside the main classifier; None where there are none.

    They learn from the images and classes of the source's training part alone, each twice: as measured, and
    with the features of each domain at zero mean and unit variance over its own training part, of which no
    label is asked.  Labels of test images decide nothing but the scores.

    Raises
    ------
    DataError
        When training images that the run recorded are missing.
    """
    sets = _own_sets(found)
    if not sets or found.main.trained.head.kind != "class":
        return None
    seed, pre = config.seed, found.main.trained.preprocessing
    baselines = {name: BASELINES.get(name)() for name in BASELINES.available()}
    training = {role: _training(found, role, seed) for role in found.main.splits}
    depth = common_depth(training["source"], training["target"], pre, seed) if len(training) == 2 else Depth()

    def features(dataset: Dataset, rows: np.ndarray, role: str, part: str) -> dict[str, np.ndarray]:
        label = f"baselines: {part} images of {dataset.name}"
        return measured(baselines, dataset, rows, pre, getattr(depth, role), label)

    source, rows = training["source"]
    learnt = features(source, rows, "source", "training")
    labels = matched_labels(source, rows, found.classes)[0]
    tested = []
    for s in sets:
        places = _compared(found, s, seed)
        seen = learnt
        if s.role != "source" and s.labelled:
            seen = features(*training[s.role], s.role, "training")
        tested.append(Tested(s, places, features(s.dataset, s.rows[places], s.role, "test"), seen))
    witness: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    results = [
        _result(name, baseline, own, (learnt[name], labels), tested, found, config, witness)
        for name, baseline in baselines.items()
        for own in (False, True)
    ]
    document = {
        "network": found.main.name,
        "decided_by": BY,
        "n_train": {role: len(rows) for role, (_, rows) in training.items()},
        "most": {"train": MOST_TRAIN, "test": MOST_TEST},
        "noise_added_to": depth.added_to,
        "results": results,
    }
    return Compared(document, witness)


def _own_sets(found: Evaluation) -> list[TestSet]:
    """The test sets of the main classifier's own run that it answers, the source first."""
    own = [next((s for s in found.sets if s.role == role), None) for role in found.main.splits]
    return [s for s in own if s is not None and _compared(found, s, 0).size]


def _training(found: Evaluation, role: str, seed: int) -> tuple[Dataset, np.ndarray]:
    """The data set of a domain and rows of its training part, some of them where there are many."""
    record = found.main.splits[role]
    dataset = record.open()
    rows = record.rows(dataset, "train")
    if role == "source":
        rows = rows[matched_labels(dataset, rows, found.classes)[0] >= 0]
    return dataset, rows[drawn_rows(len(rows), MOST_TRAIN, seed, "baselines", role, "train")]


def _compared(found: Evaluation, s: TestSet, seed: int) -> np.ndarray:
    """The places of images of a test set that the network answers, with labels if any; some of many."""
    known = np.flatnonzero(found.answers(found.main, s).usable & ((s.labels >= 0) | (not s.labelled)))
    return known[drawn_rows(len(known), MOST_TEST, seed, "baselines", s.name, "test")]


def _result(
    name: str,
    baseline: Baseline,
    standardised: bool,
    learnt: tuple[np.ndarray, np.ndarray],
    tested: Sequence[Tested],
    found: Evaluation,
    config: EvaluateConfig,
    witness: dict[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, Any]:
    """One baseline, as measured or standardised by domain, on every labelled test set; fills `witness`."""
    features, labels = learnt
    prepare = standardise_by(features) if standardised else np.asarray
    predict = baseline.learn(prepare(features), labels, len(found.classes), config.seed)
    domains = {}
    for one in tested:
        s, seen = one.test_set, name == WITNESS and not standardised
        if not (s.labelled or seen):
            continue
        own = standardise_by(one.training[name]) if standardised else np.asarray
        answers = predict(own(one.features[name]))
        if seen:
            witness[s.name] = (one.places, answers)
        if s.labelled:
            domains[s.name] = _scores(answers, one, found, config)
    return {"name": name, "title": baseline.title, "standardised": standardised, "domains": domains}


def _scores(answers: np.ndarray, one: Tested, found: Evaluation, config: EvaluateConfig) -> dict[str, Any]:
    """Every metric of a baseline, and by how much the network is better on the same galaxies."""
    s, places = one.test_set, one.places
    labels, network = s.labels[places], found.answers(found.main, s).centre[places]
    how = {"groups": s.groups[places], "n_bootstrap": config.n_bootstrap, "seed": config.seed}
    pair = [summarise(labels, p, how["groups"]) for p in (answers, network)]
    change = changes((ACCURACY, MACRO_F1), *pair, n_bootstrap=config.n_bootstrap, seed=config.seed)
    return {
        **classification_metrics(labels, answers, found.classes, **how),
        "network_minus_baseline": change,
        "beaten": bool(change[BY]["ci95"][0] > 0),
    }
