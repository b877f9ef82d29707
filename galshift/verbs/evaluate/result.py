"""What an evaluation found, and the questions that each kind of labels answers in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from astropy.table import Table

from galshift.data.paths import bare_name
from galshift.data.tables import stacked
from galshift.evaluation.metric import Metric
from galshift.report import Card, Section
from galshift.runs.answers import Answers
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.selection.label_shift import MixEstimate
from galshift.verbs.evaluate.config import EvaluateConfig

if TYPE_CHECKING:
    from galshift.training.heads import Head

Row = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """One classifier on one data set.

    Attributes
    ----------
    answers : Answers
        With the columns in the evaluation's order.
    metrics : dict
        As in ``metrics.json``.
    unknown : ndarray or None
        (N,) scores of the method, above 0.5 for a class that the source does not have.
    selected : mapping of str to ndarray or None
        (N,) bool columns of the classes that thresholds select.
    """

    answers: Answers
    metrics: dict[str, Any]
    unknown: np.ndarray | None = None
    selected: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class Page:
    """What the report of one kind of labels has of its own.

    Attributes
    ----------
    subject : str
        What is predicted, for the title; empty for classes.
    lede, reading, warnings : tuple of str
        Opening sentences, how to read the page, and warnings that only the page has.
    cards : tuple of Card
    results, details : tuple of Section
        What stands first, and what stands after the galaxies.
    sets : dict
        Name of a test set to a section about it.
    """

    subject: str
    lede: tuple[str, ...]
    cards: tuple[Card, ...]
    results: tuple[Section, ...]
    details: tuple[Section, ...]
    reading: tuple[str, ...]
    sets: Mapping[str, Section] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Task(Protocol):
    """What differs between networks for classes, for continuous labels and for votes."""

    def metrics(self) -> tuple[Metric, ...]:
        """Return the rows of this kind of labels."""

    def score(self, head: Head, s: TestSet, answers: Answers, config: EvaluateConfig) -> dict[str, Any]:
        """Return what ``metrics.json`` says of one network on one test set."""

    def unknown(
        self, c: Classifier, s: TestSet, answers: Answers
    ) -> tuple[np.ndarray | None, dict[str, Any]]:
        """Return (N,) scores of an unknown class, if any, and what ``metrics.json`` says of such classes."""

    def change(
        self, head: Head, s: TestSet, pair: Sequence[Answers], rows: np.ndarray, config: EvaluateConfig
    ) -> dict[str, Any]:
        """Return by how much the second of a pair is better than the first, on `rows` (N,) bool."""

    def by_label(self, metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the numbers in the metrics of one test set by what they are about; empty without labels."""

    def joined(self, by_label: Mapping[str, Any]) -> Any:
        """Return what is known by label as ``metrics.json`` has it."""

    def warnings(self, found: Evaluation, s: TestSet) -> list[str]:
        """Return what to beware of in the numbers of one test set."""

    def estimates(self, found: Evaluation) -> dict[str, MixEstimate]:
        """Return the class mix of test sets as label shift explains the predictions; empty where none is."""

    def document(self, found: Evaluation) -> dict[str, Any]:
        """Return what ``metrics.json`` has at its top of this kind of labels alone."""

    def headline(self, data_set: str, network: str, metrics: Mapping[str, Any]) -> list[str]:
        """Return the lines of one network on one data set in the terminal."""

    def page(self, found: Evaluation) -> Page:
        """Return what the report has of its own."""

    def sample(self, found: Evaluation, s: TestSet, i: int) -> tuple[str, list[str], str]:
        """Return title, notes and tone of the picture of image `i` of a test set."""

    def samples_text(self, found: Evaluation) -> str:
        """Return what the titles of those pictures are."""


@dataclass(frozen=True)
class Evaluation:
    """Everything that the report and ``metrics.json`` say.

    Attributes
    ----------
    task : Task
    classes : tuple of str
        Names of the classes, or of the continuous labels.
    classifiers : tuple of Classifier
        The runs given, in order, then companions.
    sets : tuple of TestSet
    outcomes : dict
        (classifier name, set name) to Outcome.
    gaps : dict
        Classifier name to the gap between source and target in its features.
    differences : dict
        Classifier name to set name to paired differences against `reference`.
    seeds : dict
        Classifier name to set name to metric (of numbers: to label to metric) to the values over seeds.
    reference : str or None
        The classifier that others are compared with: the companion of an adapted one, or one that learnt a
        single labelled data set.
    warnings : tuple of str
    estimates : dict
        Set name to its class mix as label shift explains the reference's predictions.
    baselines : dict or None
        What ``metrics.json`` says of classifiers without a network, where these were asked for.
    sections, opening : tuple of Section
        Further parts of the report, and its first ones.
    training : dict
        What ``metrics.json`` says of the training, where that is part of the same run.
    learning : dict
        Set name to the points of its learning curve, where runs learnt more and fewer labels of it.
    """

    task: Task
    classes: tuple[str, ...]
    classifiers: tuple[Classifier, ...]
    sets: tuple[TestSet, ...]
    outcomes: dict[tuple[str, str], Outcome]
    gaps: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)
    seeds: dict[str, dict[str, Any]] = field(default_factory=dict)
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    estimates: dict[str, MixEstimate] = field(default_factory=dict)
    baselines: dict[str, Any] | None = None
    sections: tuple[Section, ...] = ()
    opening: tuple[Section, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    learning: dict[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> Classifier:
        """The classifier that the report is about."""
        return self.classifiers[0]

    @property
    def compared(self) -> Classifier | None:
        """The one called `reference`."""
        return next((c for c in self.classifiers if c.name == self.reference), None)

    def ordered(self) -> list[Classifier]:
        """Return classifiers as a reader wants them: not adapted first, the reference last of those."""
        return sorted(self.classifiers, key=lambda c: (c.adapted, c.name == self.reference))

    def metrics(self, c: Classifier | str, s: TestSet) -> dict[str, Any]:
        """Return what ``metrics.json`` says of one classifier, or of the one so called, on one test set."""
        return self.outcomes[c if isinstance(c, str) else c.name, s.name].metrics

    def answers(self, c: Classifier | str, s: TestSet) -> Answers:
        """Return what one classifier, or the one so called, answers for the images of a test set."""
        return self.outcomes[c if isinstance(c, str) else c.name, s.name].answers

    def rows(self, label: str) -> list[Row]:
        """Return (classifier, data set, numbers of `label`) wherever there are labels, the target first."""
        scored = [
            (c.name, s.name, self.task.by_label(self.metrics(c, s)))
            for s in self.sets[::-1]
            for c in self.ordered()
        ]
        return [(name, where, numbers[label]) for name, where, numbers in scored if label in numbers]

    def document(self) -> dict[str, Any]:
        """Return the contents of ``metrics.json``."""
        own = self.task.document(self) | self.training
        if self.learning:
            own["learning_curve"] = self.learning
        return own | {
            "results": [self._result(c) for c in self.classifiers],
            "reference": self.reference,
            **({} if self.baselines is None else {"baselines": self.baselines}),
            "warnings": list(self.warnings),
        }

    def _result(self, c: Classifier) -> dict[str, Any]:
        found: dict[str, Any] = {
            "run": bare_name(c.path),
            "name": c.name,
            "method": c.method,
            "adapted": c.adapted,
            "trained_on": c.roles.document(),
            "given": c.given,
            "domains": {s.name: self.metrics(c, s) for s in self.sets},
        }
        parts = {"gap": self.gaps, "difference_from_reference": self.differences, "seeds": self.seeds}
        return found | {name: part[c.name] for name, part in parts.items() if c.name in part}

    def predictions(self, c: Classifier) -> Table:
        """Return the table of predictions of one classifier on every test set."""
        tables = [
            self.answers(c, s).table(
                s.dataset,
                s.rows,
                truth=s.labels if s.truth is None else s.truth,
                data_set=s.name,
                split=s.split,
                unknown=self.outcomes[c.name, s.name].unknown,
                selected=self.outcomes[c.name, s.name].selected,
            )
            for s in self.sets
        ]
        return stacked(tables)
