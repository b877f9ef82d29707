"""What networks for continuous labels and for votes share: errors beside those of the training mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from galshift.evaluation.honesty import few_galaxies
from galshift.evaluation.metric import Metric, shown_in
from galshift.report import Card, Figure, Section
from galshift.report import numbers as drawings
from galshift.report.scores import comparison_figure, digits, scores_table
from galshift.runs.answers import Answers
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.selection.label_shift import MixEstimate
from galshift.training.heads import ValueHead, VotesHead
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.headline import headline
from galshift.verbs.evaluate.result import Evaluation, Page, Row
from galshift.verbs.evaluate.role_words import change_words, compared_words, never_words

_NARROW = 0.5  # of the spread of predictions without adaptation
_CONSTANT = "always saying the training mean"
_READING = (
    "The training-mean line is what a network without any image reaches; only what lies clearly below it was "
    "learnt."
)


@dataclass(frozen=True)
class Words:
    """How sentences speak of what is scored.

    Attributes
    ----------
    section : str
        Title of its part of the page.
    error, card : str
        What the main metric is called in a figure, and on a card.
    off_by, measure : str
        Before and after the main metric in a sentence.
    """

    section: str
    error: str
    card: str
    off_by: str
    measure: str


class NumberTask(ABC):
    """Numbers for each image; the questions are those of :class:`galshift.verbs.evaluate.result.Task`.

    Class attributes
    ----------------
    kind : str
        Of the labels.
    main : Metric
        The error that sentences, cards and warnings are about.
    plural : str
        What ``metrics.json`` calls the names of what is predicted.
    """

    kind: ClassVar[str]
    main: ClassVar[Metric]
    plural: ClassVar[str]

    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """Return the rows of this kind of labels."""

    @abstractmethod
    def scores(
        self, head: ValueHead | VotesHead, truth: np.ndarray, answers: Answers, rows: np.ndarray, how: Any
    ) -> dict[str, Any]:
        """Return every metric on `rows` (N,) bool, some of which have labels."""

    @abstractmethod
    def by_label(self, metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the numbers in the metrics of one test set by what they are about."""

    @abstractmethod
    def words(self, name: str) -> Words:
        """Return how sentences speak of the label `name`."""

    @abstractmethod
    def subject(self, found: Evaluation) -> str:
        """Return what is predicted."""

    @abstractmethod
    def scatter(self, found: Evaluation, name: str, s: TestSet, answers: Answers, c: Classifier) -> Figure:
        """Draw predictions of the label `name` against the truth."""

    def score(
        self, head: ValueHead | VotesHead, s: TestSet, answers: Answers, config: EvaluateConfig
    ) -> dict[str, Any]:
        """Return every metric, or the mean predictions without labels."""
        good = answers.usable
        labelled = bool((s.labels[good] >= 0).any())
        facts = {"label_kind": self.kind, "labelled": labelled}
        if labelled:
            how = {"groups": s.groups[good], "n_bootstrap": config.n_bootstrap, "seed": config.seed}
            return facts | self.scores(head, s.truth, answers, good, how)
        centre = answers.centre[good]
        means = dict(zip(answers.names, centre.mean(axis=0).tolist(), strict=True))
        return facts | {
            "n": len(centre),
            "n_groups": len(np.unique(s.groups[good])),
            "mean_prediction": means,
        }

    def unknown(
        self, c: Classifier, s: TestSet, answers: Answers
    ) -> tuple[np.ndarray | None, dict[str, Any]]:
        """Return nothing: there are no classes to be unknown."""
        return None, {}

    def joined(self, by_label: Mapping[str, Any]) -> dict[str, Any]:
        """Return it as it is."""
        return dict(by_label)

    def estimates(self, found: Evaluation) -> dict[str, MixEstimate]:
        """Return nothing: there is no class mix."""
        return {}

    def document(self, found: Evaluation) -> dict[str, Any]:
        """Return the kind of labels and their names."""
        return {"label_kind": self.kind, self.plural: list(found.classes)}

    def warnings(self, found: Evaluation, s: TestSet) -> list[str]:
        """Return what to beware of: few galaxies, no better than the training mean, predictions alike."""
        metrics = found.metrics(found.main, s)
        lines = few_galaxies(s.name, metrics["n_groups"], " in its test set")
        for name, numbers in self.by_label(metrics).items():
            if numbers[self.main.key] >= numbers["training_mean"][self.main.key]:
                lines.append(f"On {s.name} the predicted {name} are no closer to the truth than {_CONSTANT}.")
            lines += self.doubts(name, s, numbers)
        return lines + _alike(found, s)

    def doubts(self, name: str, s: TestSet, numbers: Mapping[str, Any]) -> list[str]:
        """Return what else is wrong with the numbers of one label."""
        return []

    def headline(self, data_set: str, network: str, metrics: Mapping[str, Any]) -> list[str]:
        """Return a line for each label of one network on one data set."""
        told = f"{data_set}: {network}: "
        if not metrics["labelled"]:
            return [f"{told}no labels, so no error is claimed"]
        return [
            f"{told}{name}: {headline(numbers, self.metrics(), digits, self._always_said(numbers))}"
            for name, numbers in self.by_label(metrics).items()
        ]

    def page(self, found: Evaluation) -> Page:
        """Return errors, predictions against the truth, and the sentences that go with them."""
        labels = dict.fromkeys(
            name for s in found.sets for name in self.by_label(found.metrics(found.main, s))
        )
        return Page(
            subject=self.subject(found),
            lede=tuple(line for s in found.sets[::-1] for line in self._lede(found, s)),
            cards=tuple(card for s in found.sets[::-1] for card in self._cards(found, s)),
            results=tuple(self._how_well(found, name) for name in labels),
            details=tuple(self.details(found, {name: found.rows(name) for name in labels})),
            reading=(_READING, *self.reading()),
            sets={s.name: self._unlabelled(found, s) for s in found.sets if not s.labelled},
        )

    def details(self, found: Evaluation, rows: Mapping[str, Sequence[Row]]) -> list[Section]:
        """Return sections after the galaxies, from the rows of each label."""
        return []

    def reading(self) -> list[str]:
        """Return what else a reader of the page should know."""
        return []

    def spread(self, answers: Answers, k: int) -> str:
        """Return what is said after the mean prediction of the label `k`."""
        return ""

    def card(self, s: TestSet, numbers: Mapping[str, Any]) -> list[Card]:
        """Return further cards of one label."""
        return []

    def more(self, numbers: Mapping[str, Any]) -> str:
        """Return what is said after the error of one label."""
        return ""

    def _always_said(self, numbers: Mapping[str, Any]) -> str:
        return f"training mean {digits(numbers['training_mean'][self.main.key])}"

    def _lede(self, found: Evaluation, s: TestSet) -> list[str]:
        metrics = found.metrics(found.main, s)
        if not metrics["labelled"]:
            return [f"{s.name} has no labels, so nothing is claimed about errors there."]
        return [self._sentence(found, s, *item) for item in self.by_label(metrics).items()]

    def _sentence(self, found: Evaluation, s: TestSet, name: str, numbers: Mapping[str, Any]) -> str:
        key, words, main = self.main.key, self.words(name), found.main
        low, high = numbers["ci95"].get(key, (np.nan, np.nan))
        text = (
            f"On {s.name}, for the {numbers['n_groups']} galaxies {never_words(main, main.name)}, "
            f"{words.off_by} {digits(numbers[key])} {words.measure}, 95% interval {digits(low)} to "
            f"{digits(high)}; {_CONSTANT} is off by {digits(numbers['training_mean'][key])}."
            f"{self.more(numbers)}"
        )
        gain = found.differences.get(main.name, {}).get(s.name, {}).get(name)
        if not gain or main.roles.source_only:
            return text
        change, (low, high) = gain[key]["difference"], gain[key]["ci95"]
        before = self.by_label(found.metrics(found.reference, s))[name][key]
        text += f" {compared_words(found)} is off by {digits(before)}: "
        what = change_words(main)
        span = f"(interval {low:+.3g} to {high:+.3g})"
        if not np.isfinite([low, high]).all() or low <= 0 <= high:
            return text + f"a change of {change:+.3g} {span}, which this test set cannot tell from chance."
        if change < 0:
            return text + f"{what} took {digits(-change)} off the error {span}."
        return text + f"{what} added {digits(change)} to the error {span}, and it did harm."

    def _cards(self, found: Evaluation, s: TestSet) -> list[Card]:
        cards, key = [], self.main.key
        for name, numbers in self.by_label(found.metrics(found.main, s)).items():
            low, high = numbers["ci95"].get(key, (np.nan, np.nan))
            note = f"{digits(low)} to {digits(high)}; {self._always_said(numbers)}"
            tone = "good" if high < numbers["training_mean"][key] else "bad"
            title = f"{self.words(name).card} on {s.name}"
            cards += [Card(title, str(digits(numbers[key])), note, tone), *self.card(s, numbers)]
        return cards

    def _how_well(self, found: Evaluation, name: str) -> Section:
        rows, words = found.rows(name), self.words(name)
        bars = [
            comparison_figure(
                rows,
                metric,
                words.error if metric is self.main else f"{metric.name} of {name}",
                training_mean,
                _CONSTANT,
            )
            for metric in shown_in("figure", self.metrics())
        ]
        scatters = [
            self.scatter(found, name, s, found.answers(c, s), c)
            for s in found.sets[::-1]
            for c in (found.ordered() if s.labelled else ())
        ]
        table = scores_table(
            rows,
            shown_in("table", self.metrics()),
            training_mean,
            form=digits,
            network="network",
            caption=f"In brackets: 95% intervals from resampling galaxies. {self.caption(rows)}",
        )
        text = ["Every network is evaluated on the same galaxies, none of which any of them trained on."]
        seeds = [
            f"{network} on {where}: {words.error} {np.mean(values):.3g} ± {np.std(values, ddof=1):.2g}"
            for network, by_set in found.seeds.items()
            for where, by_label in by_set.items()
            for values in [by_label.get(name, {}).get(self.main.key, [])]
            if len(values) > 1
        ]
        if seeds:
            text.append(f"Over seeds (mean ± standard deviation): {'; '.join(seeds)}.")
        return Section(words.section, tuple(text), (*bars, *scatters, table))

    @abstractmethod
    def caption(self, rows: Sequence[Row]) -> str:
        """Return what the columns of the table mean."""

    def _unlabelled(self, found: Evaluation, s: TestSet) -> Section:
        """What every network predicts where nothing is known."""
        shown, lines = [], []
        for k, name in enumerate(found.classes):
            series = {c.name: found.answers(c, s) for c in found.ordered()}
            values = {network: answers.centre[:, k] for network, answers in series.items()}
            shown.append(drawings.distribution(values, f"predicted {name}"))
            lines += [
                f"{network} predicts {name} of {np.nanmean(answers.centre[:, k]):.3g} on average"
                f"{self.spread(answers, k)}."
                for network, answers in series.items()
            ]
        text = (
            f"No error is claimed for {s.name}, because it has no labels: what follows is of predictions "
            "alone."
        )
        return Section(f"What is predicted for {s.name}", (text, *lines), tuple(shown))


def training_mean(numbers: Mapping[str, Any]) -> tuple[str, Mapping[str, float]]:
    """Return the numbers of predicting the training mean for every image."""
    return "training mean", numbers["training_mean"]


def labelled_answers(s: TestSet, answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, centre and width, (n, L) each, of the images with a label and an answer."""
    good = answers.usable & (s.labels >= 0)
    return s.truth[good], answers.centre[good], answers.width[good]


def _alike(found: Evaluation, s: TestSet) -> list[str]:
    """Return a sentence for each quantity whose predictions adaptation drew together; no label is needed."""
    main, reference, lines = found.main.name, found.reference, []
    if reference in (None, main):
        return lines
    spreads = [np.nanstd(found.answers(name, s).centre, axis=0) for name in (main, reference)]
    for name, after, before in zip(found.classes, *spreads, strict=True):
        if after < _NARROW * before:
            lines.append(
                f"On {s.name} what {main} predicts for {name} varies {after / before:.0%} as much as with "
                f"{reference}: {change_words(found.main)} may have made all images look alike."
            )
    return lines
