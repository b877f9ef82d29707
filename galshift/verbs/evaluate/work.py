"""Run every classifier on every judged data set and collect the numbers: what evaluate and adapt write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.console import progress
from galshift.errors import DataError
from galshift.evaluation.classes import classification_metrics, paired_differences
from galshift.evaluation.honesty import plain_warnings, unlabelled_summary
from galshift.runs.classifiers import Classifier, open_classifiers
from galshift.runs.test_sets import TestSet, aligned, open_test_sets
from galshift.verbs.evaluate.class_mix import estimates
from galshift.verbs.evaluate.gaps import gaps_between
from galshift.verbs.evaluate.result import Evaluation, Outcome
from galshift.verbs.evaluate.unknown import judged_unknown

if TYPE_CHECKING:
    from galshift.verbs.evaluate.config import EvaluateConfig
    from galshift.verbs.evaluate.number_work import NumberEvaluation


def evaluate(config: EvaluateConfig, device: str, *, finished: bool = True) -> Evaluation | NumberEvaluation:
    """Evaluate the classifiers of `config` on its data sets; `finished` False allows a run still at work.

    Raises
    ------
    DataError
        When a run or data set cannot be used, or nothing is left that was not trained on.
    """
    classifiers = open_classifiers(config.runs, with_baseline=config.baseline, finished=finished, values=True)
    sets = open_test_sets(classifiers, config.on, config.read, classifiers[0].trained.head.names)
    return evaluate_open(classifiers, sets, config, device)


def evaluate_open(
    classifiers: Sequence[Classifier], sets: Sequence[TestSet], config: EvaluateConfig, device: str
) -> Evaluation | NumberEvaluation:
    """Evaluate classifiers on test sets that are open already.

    Parameters
    ----------
    classifiers : sequence of Classifier
        All with the same kind of labels and the same classes; the first is the one that the report is about.
    sets : sequence of TestSet
        Whose labels are in the classes of the first classifier.
    config : EvaluateConfig
        Of which ``n_bootstrap``, ``n_permutations`` and ``seed`` count here.
    device : str

    Raises
    ------
    DataError
        When not one image of a test set gave an answer.
    """
    classes = classifiers[0].trained.classes
    if classifiers[0].trained.head.kind != "class":
        from galshift.verbs.evaluate.number_work import evaluate_numbers

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
    c: Classifier, s: TestSet, classes: Sequence[str], config: EvaluateConfig, device: str
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


def _differences(
    classifiers: Sequence[Classifier],
    sets: Sequence[TestSet],
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
    classifiers: Sequence[Classifier], sets: Sequence[TestSet], classes: Sequence[str], device: str
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
    sets: Sequence[TestSet],
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
