"""The files of an evaluation, and its headline lines: the same for `evaluate` and at the end of `adapt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galshift.evaluation.predictions import write_predictions
from galshift.provenance import write_json
from galshift.report import build
from galshift.verbs.evaluate.number_report import number_headline, number_report
from galshift.verbs.evaluate.number_work import NumberEvaluation
from galshift.verbs.evaluate.report import report_data
from galshift.verbs.evaluate.result import Evaluation
from galshift.verbs.evaluate.unknown import unknown_lines


def write_evaluation(
    found: Evaluation | NumberEvaluation, directory: Path, *, samples: int, seed: int
) -> dict[str, str]:
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
        details = {"classifier": classifier.name, "run": str(classifier.path)}
        write_predictions(directory / outputs[role], found.predictions(classifier), provenance=details)
    page = number_report if isinstance(found, NumberEvaluation) else report_data
    build(directory / "report.html", page(found, samples=samples, seed=seed))
    return outputs


def headlines(results: Sequence[Mapping[str, Any]], warnings: Sequence[str]) -> list[str]:
    """Say every accuracy with its interval and its majority-class line, then what to beware of."""
    lines = []
    for result in results:
        for name, domain in result["domains"].items():
            if "label_kind" in domain:
                lines += number_headline(name, result["name"], domain)
                continue
            if not domain["labelled"]:
                lines.append(f"{name}: {result['name']}: no labels, so no accuracy is claimed")
                lines += unknown_lines(name, result["name"], domain)
                continue
            low, high = domain["ci95"].get("accuracy") or (None, None)
            interval = f" ({low:.2f} to {high:.2f})" if low is not None else ""
            lines.append(
                f"{name}: {result['name']}: accuracy {domain['accuracy']:.2f}{interval}, "
                f"macro F1 {domain['macro_f1']:.2f}, majority class {domain['majority_class_accuracy']:.2f}"
            )
            lines += unknown_lines(name, result["name"], domain)
    return [*lines, *(f"note: {line}" for line in warnings)]
