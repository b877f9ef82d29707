"""Networks for continuous labels: their errors, and whether their error bars can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.evaluation.bootstrap import changes
from galshift.evaluation.metric import Metric, shown_in
from galshift.evaluation.values import (
    BIAS,
    COVERAGE68,
    NMAD,
    OUTLIERS,
    RMSE,
    continuous_metrics,
    is_redshift,
    photo_z_metrics,
    value_metrics,
    value_scored,
)
from galshift.report import Card, Figure, Section
from galshift.report import numbers as drawings
from galshift.report.scores import digits, scores_table
from galshift.runs.answers import Answers
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.training.heads import ValueHead
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.numbers import NumberTask, Words, labelled_answers, training_mean
from galshift.verbs.evaluate.result import Evaluation, Row

_SHORT_BARS = 0.55  # of the true values within one sigma, where 68 % belong


class ValueTask(NumberTask):
    """One or more continuous labels, each with a standard deviation."""

    kind = "value"
    main = RMSE
    plural = "labels"

    def metrics(self) -> tuple[Metric, ...]:
        """Return the rows of continuous labels."""
        return continuous_metrics()

    def scores(
        self, head: ValueHead, truth: np.ndarray, answers: Answers, rows: np.ndarray, how: Any
    ) -> dict[str, Any]:
        """Return the metrics of each label; of a redshift also those over 1 + z."""
        labels = {}
        for k, name in enumerate(answers.names):
            own = head.names.index(name)
            columns = (truth[rows, k], answers.centre[rows, k], answers.width[rows, k])
            labels[name] = value_metrics(*columns, mean=head.mean[own], sd=head.sd[own], **how)
            if is_redshift(name):
                labels[name]["photo_z"] = photo_z_metrics(*columns[:2], **how)
        first = labels[answers.names[0]]
        return {"n": first["n"], "n_groups": first["n_groups"], "labels": labels}

    def change(
        self, head: ValueHead, s: TestSet, pair: Sequence[Answers], rows: np.ndarray, config: EvaluateConfig
    ) -> dict[str, Any]:
        """Return every metric's paired difference, by label."""
        found = {}
        for k, name in enumerate(head.names):
            two = (
                value_scored(
                    s.truth[rows, k], a.centre[rows, k], a.width[rows, k], s.groups[rows], head.sd[k]
                )
                for a in pair
            )
            found[name] = changes(self.metrics(), *two, n_bootstrap=config.n_bootstrap, seed=config.seed)
        return found

    def by_label(self, metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the metrics of each label."""
        return metrics["labels"] if metrics["labelled"] else {}

    def doubts(self, name: str, s: TestSet, numbers: Mapping[str, Any]) -> list[str]:
        """Say where error bars are too short."""
        share = numbers[COVERAGE68.key]
        if share >= _SHORT_BARS:
            return []
        return [
            f"The error bars of {name} are too short on {s.name}: {share:.0%} of the true values lie within "
            "one sigma, not 68%."
        ]

    def words(self, name: str) -> Words:
        """Return how sentences speak of the label `name`."""
        error = f"{RMSE.name} of {name}"
        section = f"How well {name} is predicted"
        return Words(section, error, error, f"its {name} is off by", "(root mean square)")

    def subject(self, found: Evaluation) -> str:
        """Return the labels' names."""
        return " and ".join(found.classes)

    def more(self, numbers: Mapping[str, Any]) -> str:
        """Return the errors of a redshift over 1 + z."""
        z = numbers.get("photo_z")
        if z is None:
            return ""
        return (
            f" Over 1 + z: bias {z[BIAS.key]:+.3g}, NMAD {digits(z[NMAD.key])}, {z[OUTLIERS.key]:.1%} "
            f"outliers (off by more than {z['outlier_threshold']:g})."
        )

    def card(self, s: TestSet, numbers: Mapping[str, Any]) -> list[Card]:
        """Return the share within one sigma, which should be 68 %."""
        share = numbers[COVERAGE68.key]
        tone = "bad" if share < 0.58 else "good" if share < 0.78 else ""
        return [Card(f"within 1 sigma on {s.name}", f"{share:.0%}", "68% is right", tone)]

    def scatter(self, found: Evaluation, name: str, s: TestSet, answers: Answers, c: Classifier) -> Figure:
        """Draw one label with its error bars."""
        truth, centre, width = labelled_answers(s, answers)
        k = found.classes.index(name)
        series = {name: (truth[:, k], centre[:, k], width[:, k])}
        return drawings.against_truth(series, label=name, title=f"{c.name} on {s.name}")

    def caption(self, rows: Sequence[Row]) -> str:
        """Return what NMAD and outliers are."""
        return (
            "NMAD: 1.48 median absolute deviation of the errors. Outliers: off by more than "
            f"{digits(rows[0][2]['outlier_threshold'])}, the standard deviation of the training labels."
        )

    def spread(self, answers: Answers, k: int) -> str:
        """Return the mean error bar."""
        sigma = np.nanmean(answers.width[:, k])
        return f", with a standard deviation of {sigma:.3g} for one image"

    def details(self, found: Evaluation, rows: Mapping[str, Sequence[Row]]) -> list[Section]:
        """Return how far error bars can be believed: pulls of every network, by label and data set."""
        drawn: list[Figure] = []
        for s in (s for s in found.sets[::-1] if s.labelled):
            for k, name in enumerate(found.classes):
                pulls = {}
                for c in found.ordered():
                    truth, centre, width = labelled_answers(s, found.answers(c, s))
                    pulls[c.name] = (centre[:, k] - truth[:, k]) / width[:, k]
                title = f"{name} on {s.name}"
                drawn += [drawings.pulls_figure(pulls, title), drawings.coverage_figure(pulls, title)]
        if not drawn:
            return []
        columns = shown_in("error bars", self.metrics())
        how = {"form": digits, "network": "network"}
        tables = [
            scores_table(mine, columns, training_mean, caption=f"Of {label}. NLL: Gaussian, in nats.", **how)
            for label, mine in rows.items()
        ]
        text = (
            "Left: errors in units of the predicted error bar; honest error bars give the Gaussian of width "
            "one. Right: how many true values lie within the predicted central interval; on the dotted line "
            "68% do for the 68% interval. Below it the error bars are too short."
        )
        return [Section("Whether the error bars can be believed", (text,), (*drawn, *tables))]

    def reading(self) -> list[str]:
        """Say what the error bars are."""
        return [
            "Each predicted value comes with its own standard deviation, learnt by a Gaussian likelihood on "
            "the source. Under a shift between surveys it may be too small: the figures above show it."
        ]

    def sample(self, found: Evaluation, s: TestSet, i: int) -> tuple[str, list[str], str]:
        """Return the first label with its error bar, and the truth."""
        answers = found.answers(found.main, s)
        notes = [f"truth: {digits(s.truth[i, 0])}"] if s.labels[i] >= 0 else []
        return f"{digits(answers.centre[i, 0])} ± {digits(answers.width[i, 0])}", notes, ""

    def samples_text(self, found: Evaluation) -> str:
        """Return what the titles of the pictures are."""
        return f"{found.classes[0]} with its predicted standard deviation"
