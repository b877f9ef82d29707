"""Networks for classes: their scores, their part of ``metrics.json`` and their lines in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.evaluation.classes import class_metrics, classification_metrics, paired_differences
from galshift.evaluation.honesty import few_galaxies, plain_warnings, unlabelled_summary
from galshift.evaluation.metric import Metric
from galshift.report.scores import number
from galshift.runs.answers import Answers
from galshift.runs.classifiers import Classifier
from galshift.runs.test_sets import TestSet
from galshift.selection.label_shift import MixEstimate
from galshift.training.heads import ClassHead
from galshift.training.unknown import load_scorer, source_scores, unknown_scores
from galshift.verbs.evaluate.class_mix import described, estimates
from galshift.verbs.evaluate.class_page import class_page, picture
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.doubt_words import verdict_line
from galshift.verbs.evaluate.headline import headline
from galshift.verbs.evaluate.result import Evaluation, Page
from galshift.verbs.evaluate.unknown import unknown_lines, unknown_part

LABEL = "classes"  # the one thing that is scored


class ClassTask:
    """One class an image; the questions are those of :class:`galshift.verbs.evaluate.result.Task`."""

    def metrics(self) -> tuple[Metric, ...]:
        """Return the rows of classes."""
        return class_metrics()

    def score(self, head: ClassHead, s: TestSet, answers: Answers, config: EvaluateConfig) -> dict[str, Any]:
        """Return every metric, or what can be said without labels."""
        usable = answers.usable
        labels, probabilities, groups = s.labels[usable], answers.centre[usable], s.groups[usable]
        if not (labels >= 0).any():
            return unlabelled_summary(probabilities, answers.names, groups=groups)
        how = {"groups": groups, "n_bootstrap": config.n_bootstrap, "seed": config.seed}
        return {**classification_metrics(labels, probabilities, answers.names, **how), "labelled": True}

    def unknown(
        self, c: Classifier, s: TestSet, answers: Answers
    ) -> tuple[np.ndarray | None, dict[str, Any]]:
        """Return the method's own scores of an unknown class, and how well it is found."""
        scorer = load_scorer(c.path)
        scores = None if scorer is None else unknown_scores(scorer, answers.outputs)
        # Only a score that tells target from source says how much looks known; and the source's own images
        # lack the noise that the network saw them with.
        compares = scorer is not None and scorer.matched and s.role != "source"
        there = source_scores(c.path, scorer) if compares else None
        return scores, unknown_part(scores, s, answers.names, answers.centre, there)

    def change(
        self, head: ClassHead, s: TestSet, pair: Sequence[Answers], rows: np.ndarray, config: EvaluateConfig
    ) -> dict[str, Any]:
        """Return every metric's paired difference."""
        before, after = (answers.centre[rows] for answers in pair)
        how = {"groups": s.groups[rows], "n_bootstrap": config.n_bootstrap, "seed": config.seed}
        return paired_differences(s.labels[rows], before, after, pair[0].names, **how)

    def by_label(self, metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the metrics themselves, where there are labels."""
        return {LABEL: metrics} if metrics["labelled"] else {}

    def joined(self, by_label: Mapping[str, Any]) -> Any:
        """Return what is known of the classes."""
        return by_label[LABEL]

    def warnings(self, found: Evaluation, s: TestSet) -> list[str]:
        """Return what to beware of: few galaxies or rare classes, a majority to beat, a score of surveys."""
        metrics = found.metrics(found.main, s)
        told = metrics.get("unknown", {}).get("reasons", [])
        if metrics["labelled"]:
            return [*plain_warnings(s.name, metrics), *told]
        return [*few_galaxies(s.name, metrics["n_groups"], " in its test set"), *told]

    def estimates(self, found: Evaluation) -> dict[str, MixEstimate]:
        """Return the class mixes by the classifier whose errors hold in both domains if anything does."""
        name = found.reference or found.main.name
        return estimates(found.sets, {s.name: found.answers(name, s) for s in found.sets})

    def document(self, found: Evaluation) -> dict[str, Any]:
        """Return the classes and the estimated class mixes."""
        mix = {name: described(one, found.classes) for name, one in found.estimates.items()}
        return {"classes": list(found.classes), "class_mix": mix}

    def headline(self, data_set: str, network: str, metrics: Mapping[str, Any]) -> list[str]:
        """Return the accuracy with its interval and its majority-class line, and how unknown classes fare."""
        told = f"{data_set}: {network}: "
        if metrics["labelled"]:
            always = f"majority class {metrics['majority_class_accuracy']:.2f}"
            line = headline(metrics, self.metrics(), number, always)
        else:
            line = "no labels, so no accuracy is claimed"
        verdict = [told + verdict_line(metrics)] if "verdict" in metrics else []
        return [told + line, *verdict, *unknown_lines(data_set, network, metrics)]

    def page(self, found: Evaluation) -> Page:
        """Return confusion tables, curves, class mixes and the sentences that go with them."""
        return class_page(found, LABEL)

    def sample(self, found: Evaluation, s: TestSet, i: int) -> tuple[str, list[str], str]:
        """Return the answer with its confidence, the truth, and whether they agree."""
        return picture(found, s, i)

    def samples_text(self, found: Evaluation) -> str:
        """Return what the titles of the pictures are."""
        return "the answer and its confidence"
