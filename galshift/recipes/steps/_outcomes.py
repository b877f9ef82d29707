"""Run every classifier on every judged data set and collect the numbers: what evaluate and adapt write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.console import progress
from galshift.errors import DataError
from galshift.evaluation.gap import domain_gap
from galshift.evaluation.honesty import plain_warnings, unlabelled_summary
from galshift.evaluation.metrics import classification_metrics, paired_differences
from galshift.evaluation.predictions import predictions_table
from galshift.recipes.steps._class_mix import described, estimates
from galshift.recipes.steps._classifiers import Classifier, open_classifiers
from galshift.recipes.steps._judging import JudgedSet, aligned, open_judged
from galshift.recipes.steps._unknown import judged_unknown

if TYPE_CHECKING:
    from astropy.table import Table

    from galshift.recipes.steps._number_answers import Answers
    from galshift.recipes.steps._number_outcomes import NumberEvaluation
    from galshift.recipes.steps.evaluate import EvaluateConfig
    from galshift.report import Section
    from galshift.selection.label_shift import MixEstimate


@dataclass(frozen=True)
class Outcome:
    """One classifier on one data set.

    Attributes
    ----------
    probabilities : ndarray
        (N, K) in the common class order; NaN where the image could not be used.
    features : ndarray
        (N, D).
    flags : ndarray
        (N,).
    metrics : dict
        As in ``metrics.json``.
    unknown : ndarray or None
        (N,) scores of the method, above 0.5 for a class that the source does not have.
    """

    probabilities: np.ndarray
    features: np.ndarray
    flags: np.ndarray
    metrics: dict[str, Any]
    unknown: np.ndarray | None = None

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: images with an answer."""
        return np.isfinite(self.probabilities).all(axis=1)


@dataclass(frozen=True)
class Evaluation:
    """Everything that the report and ``metrics.json`` say.

    Attributes
    ----------
    classes : tuple of str
    classifiers : tuple of Classifier
        The runs given, in order, then companions.
    sets : tuple of JudgedSet
    outcomes : dict
        (classifier name, set name) to Outcome.
    gaps : dict
        Classifier name to the gap between source and target in its features.
    differences : dict
        Classifier name to set name to paired differences against `reference`.
    seeds : dict
        Classifier name to set name to metric to the values over seeds.
    reference : str or None
        The classifier that others are compared with: the source-only one.
    warnings : tuple of str
    estimates : dict
        Set name to its class mix as label shift explains the reference's predictions.
    sections : tuple of Section
        Further parts of the report.
    """

    classes: tuple[str, ...]
    classifiers: tuple[Classifier, ...]
    sets: tuple[JudgedSet, ...]
    outcomes: dict[tuple[str, str], Outcome]
    gaps: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)
    seeds: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    estimates: dict[str, MixEstimate] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the contents of ``metrics.json``."""
        return {
            "classes": list(self.classes),
            "results": [self._result(c) for c in self.classifiers],
            "reference": self.reference,
            "warnings": list(self.warnings),
            "class_mix": {name: described(one, self.classes) for name, one in self.estimates.items()},
        }

    def _result(self, c: Classifier) -> dict[str, Any]:
        found: dict[str, Any] = {
            "run": str(c.path),
            "name": c.name,
            "method": c.method,
            "adapted": c.adapted,
            "given": c.given,
            "domains": {s.name: self.outcomes[c.name, s.name].metrics for s in self.sets},
        }
        if c.name in self.gaps:
            found["gap"] = self.gaps[c.name]
        if c.name in self.differences:
            found["difference_from_reference"] = self.differences[c.name]
        if c.name in self.seeds:
            found["seeds"] = self.seeds[c.name]
        return found

    def mixes(self, s: JudgedSet) -> dict[str, dict[str, float]]:
        """Return what else is known of the class mix of a set: its label-shift estimate, the source's."""
        estimate = self.estimates.get(s.name)
        if estimate is None:
            return {}
        mixes = {"estimated": estimate.target, "the source": estimate.source}
        return {name: dict(zip(self.classes, mix.tolist())) for name, mix in mixes.items()}

    def predictions(self, c: Classifier) -> Table:
        """Return the table of predictions of one classifier on every judged set."""
        from astropy.table import vstack

        tables = []
        for s in self.sets:
            outcome = self.outcomes[c.name, s.name]
            catalogue = s.dataset.info.table
            tables.append(
                predictions_table(
                    ids=s.ids,
                    groups=s.groups,
                    probabilities=outcome.probabilities,
                    classes=self.classes,
                    data_set=s.name,
                    split=s.split,
                    labels=s.labels,
                    flags=outcome.flags,
                    unknown=outcome.unknown,
                    catalogue=None if catalogue is None else catalogue[s.rows],
                )
            )
        return vstack(tables, metadata_conflicts="silent") if len(tables) > 1 else tables[0]


def evaluate(config: EvaluateConfig, device: str, *, finished: bool = True) -> Evaluation | NumberEvaluation:
    """Judge the classifiers of `config` on its data sets; `finished` False allows a run still at work.

    Raises
    ------
    DataError
        When a run or data set cannot be used, or nothing is left that was not trained on.
    """
    classifiers = open_classifiers(config.runs, with_baseline=config.baseline, finished=finished, values=True)
    classes = classifiers[0].trained.classes
    sets = open_judged(classifiers, config.on, config.read, classes)
    if classifiers[0].trained.head.kind != "class":
        from galshift.recipes.steps._number_outcomes import evaluate_numbers

        return evaluate_numbers(config, device, classifiers, sets)
    outcomes = {(c.name, s.name): _outcome(c, s, classes, config, device) for c in classifiers for s in sets}
    reference = next((c.name for c in classifiers if not c.adapted and not c.given), None) or next(
        (c.name for c in classifiers if not c.adapted), None
    )
    return Evaluation(
        classes=classes,
        classifiers=tuple(classifiers),
        sets=tuple(sets),
        outcomes=outcomes,
        gaps=gaps_between(classifiers, sets, outcomes, config),
        differences=_differences(classifiers, sets, outcomes, classes, reference, config),
        seeds=_over_seeds(classifiers, sets, classes, device),
        reference=reference,
        warnings=tuple(_warnings(classifiers, sets, outcomes)),
        estimates=estimates(reference or classifiers[0].name, sets, outcomes),
    )


def _outcome(
    c: Classifier, s: JudgedSet, classes: Sequence[str], config: EvaluateConfig, device: str
) -> Outcome:
    from galshift.training.predict import forward
    from galshift.training.unknown import load_scorer, unknown_scores

    scorer = load_scorer(c.path)
    with progress(f"{c.name} on {s.name}", len(s.rows)) as bar:
        out = forward(c.trained, s.dataset, s.rows, device=device, progress=bar.advance)
    probabilities = aligned(out.probabilities, c.trained, classes)
    usable = np.isfinite(probabilities).all(axis=1)
    if not usable.any():
        raise DataError(
            "not one image of this data set gave an answer",
            where=s.dataset.path,
            hint="galshift inspect shows what the images hold",
        )
    if s.labelled and (s.labels[usable] >= 0).any():
        metrics = classification_metrics(
            s.labels[usable],
            probabilities[usable],
            classes,
            groups=s.groups[usable],
            n_bootstrap=config.n_bootstrap,
            seed=config.seed,
        )
        metrics["labelled"] = True
    else:
        metrics = unlabelled_summary(probabilities[usable], classes, groups=s.groups[usable])
    scores = None if scorer is None else unknown_scores(scorer, out)
    metrics |= judged_unknown(scores, s, classes, probabilities)
    facts = {"role": s.role, "split": s.split, "path": str(s.dataset.path), "n_flagged": int((~usable).sum())}
    return Outcome(probabilities, out.features, out.flags, {**facts, **metrics}, scores)


def gaps_between(
    classifiers: Sequence[Classifier],
    sets: Sequence[JudgedSet],
    outcomes: Mapping[tuple[str, str], Outcome | Answers],
    config: EvaluateConfig,
) -> dict[str, dict[str, Any]]:
    """Return each classifier's gap between source and target; empty without such a pair."""
    pair = [s for s in sets if s.role in ("source", "target")]
    pair = pair if len(pair) == 2 else list(sets) if len(sets) == 2 else []
    found = {}
    for c in classifiers if pair else ():
        one, two = (outcomes[c.name, s.name].features for s in pair)
        try:
            gap = domain_gap(
                one,
                two,
                groups_a=pair[0].groups,
                groups_b=pair[1].groups,
                n_permutations=config.n_permutations,
                seed=config.seed,
            )
        except DataError:  # fewer galaxies than a gap needs: the report then has none
            continue
        found[c.name] = {"between": [s.name for s in pair], **gap}
    return found


def _differences(
    classifiers: Sequence[Classifier],
    sets: Sequence[JudgedSet],
    outcomes: dict[tuple[str, str], Outcome],
    classes: Sequence[str],
    reference: str | None,
    config: EvaluateConfig,
) -> dict[str, dict[str, Any]]:
    """Return what each classifier gained over the reference on the same galaxies."""
    found: dict[str, dict[str, Any]] = {}
    for c in classifiers:
        for s in sets if reference not in (None, c.name) else ():
            before, after = outcomes[reference, s.name], outcomes[c.name, s.name]
            both = before.usable & after.usable & (s.labels >= 0)
            if both.any():
                found.setdefault(c.name, {})[s.name] = paired_differences(
                    s.labels[both],
                    before.probabilities[both],
                    after.probabilities[both],
                    classes,
                    groups=s.groups[both],
                    n_bootstrap=config.n_bootstrap,
                    seed=config.seed,
                )
    return found


def _over_seeds(
    classifiers: Sequence[Classifier], sets: Sequence[JudgedSet], classes: Sequence[str], device: str
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return headline numbers of the same training with other seeds, the kept seed first."""
    from galshift.training.checkpoint import load_checkpoint
    from galshift.training.predict import forward

    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for c in classifiers:
        trained = [c.trained, *(load_checkpoint(path) for path in c.seeds)]
        for s in sets if len(trained) > 1 and any(s.labelled for s in sets) else ():
            for one in trained if s.labelled else ():
                probabilities = aligned(
                    forward(one, s.dataset, s.rows, device=device).probabilities, one, classes
                )
                usable = np.isfinite(probabilities).all(axis=1)
                scores = classification_metrics(
                    s.labels[usable], probabilities[usable], classes, n_bootstrap=0
                )
                held = found.setdefault(c.name, {}).setdefault(s.name, {})
                for name in ("accuracy", "balanced_accuracy", "macro_f1"):
                    held.setdefault(name, []).append(scores[name])
    return found


def _warnings(
    classifiers: Sequence[Classifier],
    sets: Sequence[JudgedSet],
    outcomes: dict[tuple[str, str], Outcome],
) -> list[str]:
    """Return every sentence that belongs before the numbers, each once."""
    found: list[str] = []
    best = classifiers[0].name
    for s in sets:
        found += s.notes
        outcome = outcomes[best, s.name]
        if outcome.metrics["n_flagged"]:
            found.append(
                f"{outcome.metrics['n_flagged']} of {len(s.rows)} images of {s.name} could not be used; "
                f"they are "
                "flagged in predictions.fits."
            )
        if outcome.metrics["labelled"]:
            found += plain_warnings(s.name, outcome.metrics)
        elif outcome.metrics["n_groups"] < 50:
            found.append(
                f"Too few galaxies: {s.name} has only {outcome.metrics['n_groups']} in its test set."
            )
    return list(dict.fromkeys(found))
