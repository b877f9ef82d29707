"""Networks for the votes that people would give: the errors of their fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.evaluation.bootstrap import changes
from galshift.evaluation.metric import Metric
from galshift.evaluation.votes import MAD, vote_metrics, vote_scored, votes_metrics
from galshift.report import Figure
from galshift.report import numbers as drawings
from galshift.runs.answers import Answers
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.training.heads import VotesHead
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.numbers import NumberTask, Words, labelled_answers
from galshift.verbs.evaluate.result import Evaluation, Row

LABEL = "votes"  # the one thing that is scored


class VoteTask(NumberTask):
    """Fractions of the votes for each class."""

    kind = "votes"
    main = MAD
    plural = "classes"

    def metrics(self) -> tuple[Metric, ...]:
        """Return the rows of votes."""
        return votes_metrics()

    def scores(
        self, head: VotesHead, truth: np.ndarray, answers: Answers, rows: np.ndarray, how: Any
    ) -> dict[str, Any]:
        """Return the metrics of the fractions."""
        return vote_metrics(
            truth[rows],
            answers.centre[rows],
            answers.width[rows, 0],
            answers.names,
            mean=[head.mean[head.names.index(name)] for name in answers.names],
            mean_concentration=head.concentration,
            **how,
        )

    def change(
        self, head: VotesHead, s: TestSet, pair: Sequence[Answers], rows: np.ndarray, config: EvaluateConfig
    ) -> dict[str, Any]:
        """Return every metric's paired difference."""
        two = (vote_scored(s.truth[rows], a.centre[rows], a.width[rows, 0], s.groups[rows]) for a in pair)
        return {LABEL: changes(self.metrics(), *two, n_bootstrap=config.n_bootstrap, seed=config.seed)}

    def by_label(self, metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the metrics themselves, where there are labels."""
        return {LABEL: metrics} if metrics["labelled"] else {}

    def words(self, name: str) -> Words:
        """Return how sentences speak of the fractions."""
        return Words(
            f"How well {name} are predicted",
            "mean error of a vote fraction",
            "mean error of fractions",
            "its vote fractions are off by",
            "on average",
        )

    def subject(self, found: Evaluation) -> str:
        """Return what is predicted."""
        return "Votes"

    def scatter(self, found: Evaluation, name: str, s: TestSet, answers: Answers, c: Classifier) -> Figure:
        """Draw the fractions of all classes."""
        counts, centre, _ = labelled_answers(s, answers)
        shares = counts / counts.sum(axis=1, keepdims=True)
        series = {k: (shares[:, i], centre[:, i], None) for i, k in enumerate(found.classes)}
        return drawings.against_truth(series, label="vote fraction", title=f"{c.name} on {s.name}")

    def caption(self, rows: Sequence[Row]) -> str:
        """Return what the errors are of."""
        return "NLL: of the counts, Dirichlet-multinomial. Errors are of vote fractions, mean over classes."

    def sample(self, found: Evaluation, s: TestSet, i: int) -> tuple[str, list[str], str]:
        """Return the likeliest winner with its fraction, and the observed one."""
        centre = found.answers(found.main, s).centre[i]
        k = int(centre.argmax())
        observed = s.truth[i, k] / s.truth[i].sum()
        notes = [f"observed {observed:.0%}"] if s.labels[i] >= 0 else []
        return f"{found.classes[k]} {centre[k]:.0%}", notes, ""

    def samples_text(self, found: Evaluation) -> str:
        """Return what the titles of the pictures are."""
        return "the expected fraction of the votes for the likeliest winner"
