"""The table of predictions of one data set, and its summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.special import softmax

from galshift.console import progress
from galshift.data.cutouts import Dataset
from galshift.data.paths import bare_name
from galshift.errors import DataError
from galshift.evaluation.honesty import unlabelled_summary
from galshift.evaluation.predictions import write_predictions
from galshift.evaluation.shards import write_shards
from galshift.runs.answers import Answers, answer, answers_of, drawn_rows
from galshift.runs.doubt import Doubt, doubt_of
from galshift.runs.held_out import outputs_of, parts_of_images
from galshift.runs.known_data import Opened, open_for
from galshift.runs.passes import joined, passes
from galshift.runs.test_sets import matched_labels
from galshift.runs.thresholds import Selection, select
from galshift.runs.truth import truth_of
from galshift.spread import Engine
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.training.predict import Forward
from galshift.training.unknown import THRESHOLD, load_scorer, unknown_scores
from galshift.verbs._threshold import rules_of
from galshift.verbs.predict.config import PredictConfig

# Images whose answers tell the class mix: more would not tell it better than the source allows.
_MIX_OF = 4000
_WITNESSED = 1000  # of them, that the source-only network beside an adapted one answers too
_SEED = 42  # as the default of count


def work(config: PredictConfig, path: Path, device: str, engine: Engine) -> dict[str, Any]:
    """Write the table of every image of `config`'s data set at `path` and return its summary.

    Raises
    ------
    DataError
        When the run or the data set cannot be used.
    """
    trained = load_checkpoint(config.run)
    opened = open_for(trained, config.data, config.read)
    dataset = opened.dataset
    sample = _Sample(trained, dataset, device, engine)
    selection = _selection(trained, dataset, config, device, sample) if config.threshold else None
    said = _Said(trained, opened, config.data, selection)
    details = {
        "run": bare_name(config.run),
        "data": bare_name(config.data),
        "meta": trained.meta,
        **_thresholds(selection),
    }
    with progress("predict", len(dataset)) as bar:
        made = passes(
            trained, dataset, device=device, engine=engine, progress=bar.advance, features=said.scores_unknown
        )
        if config.shards is None:
            whole = joined((found for _, found in made), len(dataset))
            said.weigh(whole.logits[sample.rows], sample, config.level)
            # A data set without one usable image gives a table of flags.
            table = said.table(np.arange(len(dataset)), whole)
            write_predictions(path, table, provenance=details | said.worth())
        else:
            said.weigh(sample.answers.outputs.logits, sample, config.level)
            details |= said.worth()
            tables = (said.table(rows, found) for rows, found in made)
            write_shards(path, tables, config.shards, provenance=details)
    return {
        **said.summary(),
        **said.worth(),
        "n": len(dataset),
        **_thresholds(selection),
        "reading": list(opened.notes),
        "warnings": said.notes,
        "outputs": {"predictions": path.name},
        "product": path.name,
    }


@dataclass
class _Sample:
    """Some images of a data set, whose answers tell the class mix and what all answers are worth."""

    trained: Trained
    dataset: Dataset
    device: str
    engine: Engine

    @cached_property
    def rows(self) -> np.ndarray:
        """Row numbers, drawn by a fixed seed where there are many."""
        return drawn_rows(len(self.dataset), _MIX_OF, _SEED, "threshold", "mix")

    @cached_property
    def answers(self) -> Answers:
        """What the network answers for them, in a pass of its own."""
        return answer(
            self.trained, self.dataset, self.rows, device=self.device, label="class mix", engine=self.engine
        )

    def beside(self, logits: np.ndarray, other: Trained) -> tuple[np.ndarray, np.ndarray]:
        """Return what the network, by its `logits` for all rows, and another say of some of them: (n, K)."""
        some = np.linspace(0, len(self.rows) - 1, min(len(self.rows), _WITNESSED)).astype(int)
        found = answer(
            other,
            self.dataset,
            self.rows[some],
            device=self.device,
            label="source-only beside",
            refuse=False,
            engine=self.engine,
            features=False,
        )
        mine, theirs = logits[some].astype(np.float64), found.outputs.logits.astype(np.float64)
        good = np.isfinite(mine).all(axis=1) & np.isfinite(theirs).all(axis=1)
        return softmax(mine[good], axis=1), softmax(theirs[good], axis=1)


def _selection(
    trained: Trained, dataset: Dataset, config: PredictConfig, device: str, sample: _Sample
) -> Selection:
    """Choose the thresholds of `config` for this data set, by the answers to some of its images."""
    if trained.head.kind != "class":
        raise DataError(
            "thresholds are of classes, and this run predicts something else", where="--threshold"
        )
    rules, found = rules_of(config.threshold, tuple(trained.classes)), sample.answers
    target = outputs_of(found, dataset.info.groups[sample.rows], np.flatnonzero(found.usable))
    return select(trained, rules, target, device, seed=_SEED)


def _thresholds(selection: Selection | None) -> dict[str, Any]:
    """What the table's header and the results say of thresholds; nothing without."""
    if selection is None:
        return {}
    return {"thresholds": selection.document(), "selection": selection.sentences()}


class _Said:
    """What a network says of a data set: tables of some of its rows, and the summary of all that were asked.

    Parameters
    ----------
    trained : Trained
    opened : Opened
    data : str
        As it was named.
    selection : Selection or None
        Which classes are selected, if any.
    """

    def __init__(
        self, trained: Trained, opened: Opened, data: str, selection: Selection | None = None
    ) -> None:
        self.trained, self.dataset, self.selection = trained, opened.dataset, selection
        self._data, self._selected, self._in_doubt = data, 0, 0
        self._doubt: Doubt | None = None
        self.notes: list[str] = []
        if trained.head.kind == "class":
            everything = np.arange(len(self.dataset))
            self._truth, self.notes = matched_labels(self.dataset, everything, trained.classes)
        else:
            self._truth = truth_of(self.dataset, trained.head, opened.read)
        self._splits = _splits(trained, self.dataset, data)
        self._scorer = load_scorer(trained.path.parent) if trained.head.kind == "class" else None
        self._centre: list[np.ndarray] = []
        self._unknown: list[np.ndarray] = []

    def weigh(self, logits: np.ndarray, sample: _Sample, level: float) -> None:
        """Find what the answers are worth, by those to a sample; a note where that cannot be told."""
        if self.trained.head.kind != "class":
            return
        try:
            good = logits[np.isfinite(logits).all(axis=1)].astype(np.float64)
            beside = partial(sample.beside, logits)
            self._doubt = doubt_of(self.trained, good, sample.device, level, self._data, beside)
        except DataError as error:
            self.notes.append(f"No verdict and no prediction sets: {_said_of(error)}.")

    def worth(self) -> dict[str, Any]:
        """Return what header and results say of that; nothing where it cannot be told."""
        if self._doubt is None:
            return {}
        return self._doubt.document()

    @property
    def scores_unknown(self) -> bool:
        """True where the run tells an unknown class, by the features."""
        return self._scorer is not None

    def table(self, rows: np.ndarray, outputs: Forward) -> Table:
        """Return the rows of the table that `outputs` are about."""
        answers = answers_of(self.trained, outputs)
        unknown = None if self._scorer is None else unknown_scores(self._scorer, outputs)
        self._centre.append(answers.centre)
        self._unknown += [] if unknown is None else [unknown]
        columns = {}
        if self.selection is not None:
            columns = self.selection.columns(answers.centre, tuple(self.trained.classes))
            self._selected += int(columns["selected"].sum())
        if self._doubt is not None:
            found = self._doubt.columns(outputs.logits.astype(np.float64))
            self._in_doubt += int((found["in_doubt"] & answers.usable).sum())
            columns = columns | found
        return answers.table(
            self.dataset,
            rows,
            truth=None if self._truth is None else self._truth[rows],
            data_set=self.dataset.name,
            split=self._splits[rows],
            unknown=unknown,
            selected=columns,
        )

    def summary(self) -> dict[str, Any]:
        """Return the predicted mix, or the means of what is predicted, and how many images gave no answer."""
        centre, head = np.concatenate(self._centre), self.trained.head
        usable = np.isfinite(centre).all(axis=1)
        flagged = {"n_flagged": int((~usable).sum())}
        if head.kind != "class":
            return {**_of_numbers(head.kind, head.names, centre[usable]), **flagged}
        known = unlabelled_summary(centre[usable], self.trained.classes) if usable.any() else {}
        found = {key: value for key, value in known.items() if key != "labelled"}
        if self.selection is not None:
            found["n_selected"] = self._selected
        if self._doubt is not None and usable.any():
            found["share_in_doubt"] = self._in_doubt / int(usable.sum())
        if self._unknown:
            found["share_unknown"] = float((np.concatenate(self._unknown)[usable] > THRESHOLD).mean())
        if self._doubt is not None:
            found["verdict_lines"] = self._doubt.sentences()
        return {**found, "classes": list(self.trained.classes), **flagged}


def _said_of(error: DataError) -> str:
    """What is wrong, and with what."""
    return error.what if error.where is None else f"{error.what} ({bare_name(error.where)})"


def _splits(trained: Trained, dataset: Dataset, data: str) -> np.ndarray:
    """The part of the run's data that each image was in, if any."""
    return parts_of_images(trained, dataset, data)


def _of_numbers(kind: str, names: Sequence[str], good: np.ndarray) -> dict[str, Any]:
    """Return the mean of each label, or of each class's vote fraction; NaN without one usable image."""
    means = good.mean(axis=0).tolist() if len(good) else [float("nan")] * len(names)
    return {
        "label_kind": kind,
        "labels": list(names),
        "mean_prediction": dict(zip(names, means, strict=True)),
    }
