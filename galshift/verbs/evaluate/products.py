"""The files of an evaluation, and its headline lines: the same for `evaluate` and at the end of `adapt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galshift.data.paths import bare_name
from galshift.evaluation.predictions import write_predictions
from galshift.provenance import write_json
from galshift.report import build
from galshift.spread import Engine
from galshift.timing import timed
from galshift.verbs.evaluate.baseline_words import baseline_lines
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.report import report_data
from galshift.verbs.evaluate.result import Evaluation
from galshift.verbs.evaluate.tasks import TASKS
from galshift.verbs.evaluate.work import evaluate


def work(config: EvaluateConfig, directory: Path, device: str, engine: Engine) -> dict[str, Any]:
    """Evaluate what `config` names, write the files and return the results.

    Raises
    ------
    DataError
        When a run or data set cannot be used, or nothing is left that was not trained on.
    """
    found = evaluate(config, device, engine=engine)
    outputs = write_evaluation(found, directory, samples=config.samples, seed=config.seed)
    return {**found.document(), "outputs": outputs}


@timed("pages")
def write_evaluation(found: Evaluation, directory: Path, *, samples: int, seed: int) -> dict[str, str]:
    """Write ``metrics.json``, a table of predictions for each classifier and ``report.html``.

    Returns
    -------
    dict
        Role to file name; the first classifier's table has the plain name.
    """
    write_json(directory / "metrics.json", {"schema": 1, **found.document()})
    outputs = {"metrics": "metrics.json", "report": "report.html"}
    for position, classifier in enumerate(found.classifiers):
        role = "predictions" if position == 0 else f"predictions-{position}"
        outputs[role] = f"{role}.fits"
        details = {"classifier": classifier.name, "run": bare_name(classifier.path)}
        write_predictions(directory / outputs[role], found.predictions(classifier), provenance=details)
    build(directory / "report.html", report_data(found, samples=samples, seed=seed))
    return outputs


def headlines(
    results: Sequence[Mapping[str, Any]], warnings: Sequence[str], baselines: Mapping[str, Any] | None = None
) -> list[str]:
    """Say the headline numbers, what a constant answer and baselines reach; then what to beware of."""
    lines = []
    for result in results:
        for name, domain in result["domains"].items():
            # Documents about classes do not name their kind.
            task = TASKS[domain.get("label_kind", "class")]
            lines += task.headline(name, result["name"], domain)
    lines += baseline_lines(baselines, TASKS["class"].metrics())
    return [*lines, *(f"note: {line}" for line in warnings)]
