"""The table of predictions of one data set, and its summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.domains.splits import absolute, read_splits, split_column
from galshift.evaluation.honesty import unlabelled_summary
from galshift.evaluation.predictions import write_predictions
from galshift.methods import Method
from galshift.runs.answers import Answers, answer
from galshift.runs.known_data import open_for
from galshift.runs.test_sets import matched_labels
from galshift.runs.truth import truth_of
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.training.unknown import THRESHOLD, load_scorer, unknown_scores
from galshift.verbs.predict.config import PredictConfig


def work(config: PredictConfig, path: Path, device: str) -> dict[str, Any]:
    """Write the table of every image of `config`'s data set at `path` and return its summary.

    Raises
    ------
    DataError
        When the run or the data set cannot be used.
    """
    trained = load_checkpoint(config.run)
    head = trained.head
    opened = open_for(trained, config.data, config.read)
    dataset = opened.dataset
    # A data set without one usable image gives a table of flags.
    scorer = load_scorer(trained.path.parent) if head.kind == "class" else None
    answers = answer(
        trained, dataset, device=device, label="predict", refuse=False, features=scorer is not None
    )
    rows = np.arange(len(dataset))
    if head.kind == "class":
        truth, notes = matched_labels(dataset, rows, trained.classes)
        summary, unknown = _of_classes(trained, answers, scorer)
    else:
        truth, notes = truth_of(dataset, head, opened.read), []
        summary, unknown = _of_numbers(answers), None
    table = answers.table(
        dataset,
        rows,
        truth=truth,
        data_set=dataset.name,
        split=_splits(trained, dataset, config.data),
        unknown=unknown,
    )
    details = {"run": str(config.run), "data": str(config.data), "meta": trained.meta}
    write_predictions(path, table, provenance=details)
    return {
        **summary,
        "n": len(dataset),
        "n_flagged": int((~answers.usable).sum()),
        "reading": list(opened.notes),
        "warnings": notes,
        "outputs": {"predictions": path.name},
        "product": path.name,
    }


def _splits(trained: Trained, dataset: Dataset, data: str) -> np.ndarray:
    """The part of the run's data that each image was in, if any."""
    return split_column(dataset.info.ids, read_splits(trained.path.parent), absolute(data))


def _of_classes(
    trained: Trained, answers: Answers, scorer: Method | None
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Return the predicted mix, and (N,) scores of an unknown class from a run that has them."""
    usable = answers.usable
    known = unlabelled_summary(answers.centre[usable], trained.classes) if usable.any() else {}
    found = {key: value for key, value in known.items() if key != "labelled"}
    unknown = None if scorer is None else unknown_scores(scorer, answers.outputs)
    if unknown is not None:
        found["share_unknown"] = float((unknown[usable] > THRESHOLD).mean())
    return {**found, "classes": list(trained.classes)}, unknown


def _of_numbers(answers: Answers) -> dict[str, Any]:
    """Return the mean of each label, or of each class's vote fraction; NaN without one usable image."""
    good, names = answers.centre[answers.usable], answers.names
    means = good.mean(axis=0).tolist() if len(good) else [float("nan")] * len(names)
    return {
        "label_kind": answers.kind,
        "labels": list(names),
        "mean_prediction": dict(zip(names, means, strict=True)),
    }
