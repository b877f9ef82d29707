"""Run every classifier on every test set and collect the numbers: what evaluate and adapt write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from galshift.data.paths import bare_name
from galshift.errors import DataError
from galshift.evaluation.gap import domain_gap
from galshift.evaluation.metric import shown_in
from galshift.models.tuning import HEAD
from galshift.runs.answers import Answers, answer
from galshift.runs.classifiers import Classifier, open_classifiers
from galshift.runs.shared_encoder import SharedEncoder
from galshift.runs.test_sets import TestSet, open_test_sets
from galshift.spread import HERE, Engine
from galshift.timing import timed
from galshift.training.checkpoint import Trained, load_checkpoint
from galshift.training.unknown import has_scorer
from galshift.verbs.evaluate.baselines import NO_CLASSES, baselines_of
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.doubt import with_doubt
from galshift.verbs.evaluate.learning_curve import learning_curves
from galshift.verbs.evaluate.result import Evaluation, Outcome, Task
from galshift.verbs.evaluate.tasks import TASKS
from galshift.verbs.evaluate.thresholds import with_thresholds

Ask = Callable[..., Answers]  # a network and a data set with its rows to the network's answers


def evaluate(
    config: EvaluateConfig, device: str, *, finished: bool = True, engine: Engine = HERE
) -> Evaluation:
    """Evaluate the classifiers of `config` on its data sets; `finished` False allows a run still at work.

    Raises
    ------
    DataError
        When a run or data set cannot be used, or nothing is left that was not trained on.
    """
    classifiers = open_classifiers(config.runs, with_baseline=config.baseline, finished=finished)
    sets = open_test_sets(classifiers, config.on, config.read, classifiers[0].trained.head.names)
    found = evaluate_open(classifiers, sets, config, device, engine)
    return with_thresholds(found, config, device) if config.threshold else found


@timed("evaluation")
def evaluate_open(
    classifiers: Sequence[Classifier],
    sets: Sequence[TestSet],
    config: EvaluateConfig,
    device: str,
    engine: Engine = HERE,
) -> Evaluation:
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
    engine : Engine
        Who runs the networks over the images.

    Raises
    ------
    DataError
        When not one image of a test set gave an answer.
    """
    head = classifiers[0].trained.head
    task = TASKS[head.kind]
    ask = partial(answer, device=device, engine=engine, names=head.names, shared=_shared(classifiers))
    wanted = bool(_pair(sets) or config.threshold)
    ask = partial(ask, features=wanted or any(has_scorer(c.path) for c in classifiers))
    outcomes = {(c.name, s.name): _outcome(task, c, s, config, ask) for c in classifiers for s in sets}
    plain = [c for c in classifiers if not c.given] + [c for c in classifiers if c.roles.source_only]
    reference = next((c.name for c in plain), None)
    found = Evaluation(task, head.names, tuple(classifiers), tuple(sets), outcomes, reference=reference)
    compared = baselines_of(found, config) if config.baselines else None
    known = replace(
        found,
        gaps=_gaps(found, config),
        differences=_differences(found, config),
        seeds=_over_seeds(found, config, ask),
        baselines=None if compared is None else compared.document,
        warnings=(*_warnings(found), *([NO_CLASSES] if config.baselines and head.kind != "class" else [])),
        estimates=task.estimates(found),
        learning=learning_curves(found),
    )
    return with_doubt(known, compared, device)


def _shared(classifiers: Sequence[Classifier]) -> SharedEncoder | None:
    """What remembers features, where heads alone were trained: they may have an encoder in common."""
    tuned = (c.config.get("training", {}).get("tune") for c in classifiers)
    return SharedEncoder() if HEAD in tuned else None


def _outcome(task: Task, c: Classifier, s: TestSet, config: EvaluateConfig, ask: Ask) -> Outcome:
    answers = ask(c.trained, s.dataset, s.rows, label=f"{c.name} on {s.name}")
    facts = {
        "role": s.role,
        "split": s.split,
        "path": bare_name(s.dataset.path),
        "n_flagged": int((~answers.usable).sum()),
    }
    scores, unknown = task.unknown(c, s, answers)
    return Outcome(answers, {**facts, **task.score(c.trained.head, s, answers, config), **unknown}, scores)


def _gaps(found: Evaluation, config: EvaluateConfig) -> dict[str, dict[str, Any]]:
    """Return the gap between source and target in each classifier's features; empty without such a pair."""
    pair, gaps = _pair(found.sets), {}
    for c in found.classifiers if pair else ():
        try:
            gap = domain_gap(
                *(found.answers(c, s).features for s in pair),
                groups_a=pair[0].groups,
                groups_b=pair[1].groups,
                n_permutations=config.n_permutations,
                seed=config.seed,
            )
        except DataError:  # fewer galaxies than a gap needs: the report then has none
            continue
        gaps[c.name] = {"between": [s.name for s in pair], **gap}
    return gaps


def _pair(sets: Sequence[TestSet]) -> list[TestSet]:
    """Return the two test sets between which a gap is told; none where it is not clear which they are."""
    pair = [s for s in sets if s.role in ("source", "target")]
    return pair if len(pair) == 2 else list(sets) if len(sets) == 2 else []


def _differences(found: Evaluation, config: EvaluateConfig) -> dict[str, dict[str, Any]]:
    """Return what each classifier gained over the reference on the same galaxies."""
    differences: dict[str, dict[str, Any]] = {}
    others = [c for c in found.classifiers if found.reference not in (None, c.name)]
    for c, s in ((c, s) for c in others for s in found.sets):
        pair = [found.answers(one, s) for one in (found.reference, c)]
        both = pair[0].usable & pair[1].usable & (s.labels >= 0)
        if both.any():
            change = found.task.change(found.main.trained.head, s, pair, both, config)
            differences.setdefault(c.name, {})[s.name] = change
    return differences


def _over_seeds(found: Evaluation, config: EvaluateConfig, ask: Ask) -> dict[str, dict[str, Any]]:
    """Return some numbers of the same training with other seeds, those of the run itself first."""
    keys = [metric.key for metric in shown_in("seeds", found.task.metrics())]
    over: dict[str, dict[str, Any]] = {}
    for c in found.classifiers:
        others = [load_checkpoint(path) for path in c.seeds]
        for s in found.sets if others else ():
            if not s.labelled:
                continue
            rows = [found.metrics(c, s), *(_again(found, one, c.name, s, config, ask) for one in others)]
            scored = [found.task.by_label(row) for row in rows]
            if not all(scored):
                continue  # no labelled image gave an answer
            by_label = {name: {key: [row[name][key] for row in scored] for key in keys} for name in scored[0]}
            over.setdefault(c.name, {})[s.name] = found.task.joined(by_label)
    return over


def _again(
    found: Evaluation, trained: Trained, name: str, s: TestSet, config: EvaluateConfig, ask: Ask
) -> dict[str, Any]:
    """Return the numbers of another seed, without intervals."""
    answers = ask(trained, s.dataset, s.rows, label=f"{name} on {s.name}, another seed")
    return found.task.score(trained.head, s, answers, config.model_copy(update={"n_bootstrap": 0}))


def _warnings(found: Evaluation) -> list[str]:
    """Return every sentence that belongs before the numbers, each once."""
    lines: list[str] = []
    for s in found.sets:
        lines += s.notes
        flagged = found.metrics(found.main, s)["n_flagged"]
        if flagged:
            lines.append(
                f"{flagged} of {len(s.rows)} images of {s.name} could not be used; they are flagged in "
                "predictions.fits."
            )
        lines += found.task.warnings(found, s)
    return list(dict.fromkeys(lines))
