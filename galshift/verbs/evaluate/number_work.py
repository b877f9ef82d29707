"""What evaluate and adapt write where networks predict numbers: continuous labels, or votes for classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.console import progress
from galshift.errors import DataError
from galshift.evaluation.bootstrap import paired_changes
from galshift.evaluation.values import VALUE_NAMES, value_statistics
from galshift.evaluation.votes import VOTE_NAMES, vote_statistics
from galshift.runs.classifiers import Classifier
from galshift.runs.number_answers import Answers, answers, prediction_table
from galshift.runs.test_sets import TestSet
from galshift.verbs.evaluate.gaps import gaps_between
from galshift.verbs.evaluate.numbers import judge, scored

if TYPE_CHECKING:
    from astropy.table import Table

    from galshift.report import Section
    from galshift.training.checkpoint import Trained
    from galshift.training.heads import Head
    from galshift.verbs.evaluate.config import EvaluateConfig

HEADLINES = {"value": ("rmse", "nmad", "bias"), "votes": ("nll", "mad", "rmse", "accuracy")}
_FEW_GROUPS = 50
_NARROW = 0.5  # of the spread of predictions without adaptation


@dataclass(frozen=True)
class NumberEvaluation:
    """Everything that the report and ``metrics.json`` say.

    Attributes
    ----------
    kind : {"value", "votes"}
    classes : tuple of str
        Names of the labels, or of the classes that are voted for.
    classifiers : tuple of Classifier
        The runs given, in order, then companions.
    sets : tuple of TestSet
    answers : dict
        (network name, set name) to Answers.
    metrics : dict
        (network name, set name) to what ``metrics.json`` has of it.
    gaps : dict
        Network name to the gap between source and target in its features.
    differences, seeds : dict
        Network name to set name to label (``votes`` for votes) to the changes against `reference`, and to the
        values over seeds.
    reference : str or None
        The source-only network.
    warnings : tuple of str
    sections : tuple of Section
        Further parts of the report.
    """

    kind: str
    classes: tuple[str, ...]
    classifiers: tuple[Classifier, ...]
    sets: tuple[TestSet, ...]
    answers: dict[tuple[str, str], Answers]
    metrics: dict[tuple[str, str], dict[str, Any]]
    gaps: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)
    seeds: dict[str, dict[str, Any]] = field(default_factory=dict)
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()

    @property
    def head(self) -> Head:
        """That of the first network."""
        return self.classifiers[0].trained.head

    def document(self) -> dict[str, Any]:
        """Return the contents of ``metrics.json``."""
        return {
            "label_kind": self.kind,
            "classes" if self.kind == "votes" else "labels": list(self.classes),
            "results": [self._result(c) for c in self.classifiers],
            "reference": self.reference,
            "warnings": list(self.warnings),
        }

    def _result(self, c: Classifier) -> dict[str, Any]:
        found: dict[str, Any] = {
            "run": str(c.path),
            "name": c.name,
            "method": c.method,
            "adapted": c.adapted,
            "given": c.given,
            "domains": {s.name: self.metrics[c.name, s.name] for s in self.sets},
        }
        parts = {"gap": self.gaps, "difference_from_reference": self.differences, "seeds": self.seeds}
        return found | {name: held[c.name] for name, held in parts.items() if c.name in held}

    def predictions(self, c: Classifier) -> Table:
        """Return the table of predictions of one network on every judged set."""
        from astropy.table import vstack

        tables = []
        for s in self.sets:
            said = self.answers[c.name, s.name]
            about = (self.kind, self.classes, said, s.truth, s.dataset, s.rows)
            tables.append(prediction_table(*about, data_set=s.name, split=s.split))
        return vstack(tables, metadata_conflicts="silent") if len(tables) > 1 else tables[0]


def evaluate_numbers(
    config: EvaluateConfig, device: str, classifiers: Sequence[Classifier], sets: Sequence[TestSet]
) -> NumberEvaluation:
    """Judge networks for numbers on the images of `sets`.

    Raises
    ------
    DataError
        When not one image of a data set gave an answer.
    """
    head = classifiers[0].trained.head
    said = {
        (c.name, s.name): _said(c.trained, s, head.names, device, c.name) for c in classifiers for s in sets
    }
    plain = [c for c in classifiers if not c.adapted]
    reference = next((c.name for c in plain if not c.given), None) or next((c.name for c in plain), None)
    metrics = {
        (c.name, s.name): judge(c.trained.head, s, said[c.name, s.name], head.names, config)
        for c in classifiers
        for s in sets
    }
    return NumberEvaluation(
        kind=head.kind,
        classes=head.names,
        classifiers=tuple(classifiers),
        sets=tuple(sets),
        answers=said,
        metrics=metrics,
        gaps=gaps_between(classifiers, sets, said, config),
        differences=_differences(classifiers, sets, said, head, reference, config),
        seeds=_over_seeds(classifiers, sets, head, device),
        reference=reference,
        warnings=(
            *_warnings(classifiers[0].name, sets, said, metrics),
            *_collapsed(classifiers[0].name, reference, sets, said, head),
        ),
    )


def _said(trained: Trained, s: TestSet, names: Sequence[str], device: str, title: str) -> Answers:
    from galshift.training.predict import forward

    with progress(f"{title} on {s.name}", len(s.rows)) as bar:
        out = forward(trained, s.dataset, s.rows, device=device, progress=bar.advance)
    found = answers(trained, out, names)
    if not found.usable.any():
        raise DataError(
            "not one image of this data set gave an answer",
            where=s.dataset.path,
            hint="galshift inspect shows what the images hold",
        )
    return found


def _differences(
    classifiers: Sequence[Classifier],
    sets: Sequence[TestSet],
    said: Mapping[tuple[str, str], Answers],
    head: Head,
    reference: str | None,
    config: EvaluateConfig,
) -> dict[str, dict[str, Any]]:
    """Return what each network gained over the reference on the same galaxies."""
    found: dict[str, dict[str, Any]] = {}
    how = {"n_bootstrap": config.n_bootstrap, "seed": config.seed}
    for c in classifiers:
        for s in sets if reference not in (None, c.name) else ():
            pair = [said[reference, s.name], said[c.name, s.name]]
            both = pair[0].usable & pair[1].usable & np.isfinite(s.truth).all(axis=1)
            if not both.any():
                continue
            truth, groups = s.truth[both], s.groups[both]
            changes = {}
            if head.kind == "votes":
                two = [vote_statistics(truth, a.centre[both], a.width[both, 0], groups) for a in pair]
                changes["votes"] = paired_changes(*two, VOTE_NAMES, **how)
            for k, name in enumerate(head.names if head.kind == "value" else ()):
                two = [
                    value_statistics(truth[:, k], a.centre[both, k], a.width[both, k], groups, head.sd[k])
                    for a in pair
                ]
                changes[name] = paired_changes(*two, VALUE_NAMES, **how)
            found.setdefault(c.name, {})[s.name] = changes
    return found


def _over_seeds(
    classifiers: Sequence[Classifier], sets: Sequence[TestSet], head: Head, device: str
) -> dict[str, dict[str, Any]]:
    """Return headline numbers of the same training with other seeds, the kept seed first."""
    from galshift.training.checkpoint import load_checkpoint
    from galshift.verbs.evaluate.config import EvaluateConfig

    quick = EvaluateConfig(runs=["-"], n_bootstrap=0)
    found: dict[str, dict[str, Any]] = {}
    for c in classifiers:
        trained = [c.trained, *(load_checkpoint(path, values=True) for path in c.seeds)]
        for s in sets if len(trained) > 1 else ():
            for one in trained if s.labelled else ():
                metrics = judge(one.head, s, _said(one, s, head.names, device, c.name), head.names, quick)
                for name, scores in scored(metrics).items():
                    held = found.setdefault(c.name, {}).setdefault(s.name, {}).setdefault(name, {})
                    for key in HEADLINES[head.kind]:
                        held.setdefault(key, []).append(scores[key])
    return found


def _warnings(
    main: str,
    sets: Sequence[TestSet],
    said: Mapping[tuple[str, str], Answers],
    metrics: Mapping[tuple[str, str], Mapping[str, Any]],
) -> list[str]:
    """Return every sentence that belongs before the numbers, each once."""
    found: list[str] = []
    for s in sets:
        found += s.notes
        mine = metrics[main, s.name]
        if mine["n_flagged"]:
            found.append(
                f"{mine['n_flagged']} of {len(s.rows)} images of {s.name} could not be used; they are "
                "flagged in predictions.fits."
            )
        if mine["n_groups"] < _FEW_GROUPS:
            found.append(f"Too few galaxies: {s.name} has only {mine['n_groups']} in its test set.")
        for name, scores in scored(mine).items():
            always, key = scores["training_mean"], "mad" if name == "votes" else "rmse"
            if scores[key] >= always[key]:
                found.append(
                    f"On {s.name} the predicted {name} are no closer to the truth than always saying the "
                    "training mean."
                )
            if "coverage68" in scores and scores["coverage68"] < 0.55:
                found.append(
                    f"The error bars of {name} are too short on {s.name}: {scores['coverage68']:.0%} of the "
                    "true values lie within one sigma, not 68%."
                )
    return list(dict.fromkeys(found))


def _collapsed(
    main: str,
    reference: str | None,
    sets: Sequence[TestSet],
    said: Mapping[tuple[str, str], Answers],
    head: Head,
) -> list[str]:
    """Return a sentence for each quantity whose predictions adaptation drew together; no label is needed."""
    found = []
    for s in sets if reference not in (None, main) else ():
        spreads = [np.nanstd(said[name, s.name].centre, axis=0) for name in (main, reference)]
        for name, after, before in zip(head.names, *spreads, strict=True):
            if after < _NARROW * before:
                found.append(
                    f"On {s.name} what {main} predicts for {name} varies {after / before:.0%} as much as "
                    f"with {reference}: adaptation may have made all images look alike."
                )
    return found
