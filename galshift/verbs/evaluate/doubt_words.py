"""What terminal and report say of the accuracy that is expected without labels, and of the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.doubt.verdict import HELP, TRUSTED, UNTRUSTED
from galshift.evaluation.classes import ACCURACY
from galshift.report import Card, Section, Table
from galshift.runs.test_sets import TestSet
from galshift.verbs.evaluate.doubt import KEY
from galshift.verbs.evaluate.result import Evaluation

_TONES = {TRUSTED: "good", UNTRUSTED: "bad"}
_HOW = (
    "Expected without a label of the data set: the mean of what the network's own answers tell (how decided "
    "and how mixed they are, against held-out images of the source) and of the agreement that it loses with "
    "independent classifiers. The interval held the truth of 95% of the runs on pairs of surveys of known "
    "truth; another kind of gap can be worse. Labels of a random sample decide (galshift suggest)."
)


def verdict_line(metrics: Mapping[str, Any]) -> str:
    """Return the verdict of metrics that have one, and the expected accuracy, in a line."""
    return f"verdict: {metrics['verdict']}; {expected(metrics)}"


def expected(metrics: Mapping[str, Any]) -> str:
    """``accuracy expected without labels 0.87 (0.80 to 0.94)``."""
    low, high = metrics["ci95"][KEY]
    return f"accuracy expected without labels {metrics[KEY]:.2f} ({low:.2f} to {high:.2f})"


def verdict_card(s: TestSet, metrics: Mapping[str, Any]) -> list[Card]:
    """Return the card of a data set's verdict; none where there is none."""
    if "verdict" not in metrics:
        return []
    low, high = metrics["ci95"][KEY]
    note = f"expected accuracy {metrics[KEY]:.2f} ({low:.2f} to {high:.2f})"
    return [Card(f"verdict on {s.name}", metrics["verdict"], note, _TONES.get(metrics["verdict"], ""))]


def verdict_sentences(found: Evaluation) -> list[str]:
    """Return a sentence for each data set where the main classifier is not trusted, or labels differ."""
    lines = []
    for s in found.sets[::-1]:
        metrics = found.metrics(found.main, s)
        lines += _against_labels(s, metrics)
        if metrics.get("verdict", TRUSTED) != TRUSTED:
            why = "; ".join(metrics["reasons"])
            lines.append(f"Whether to believe it on {s.name}: {metrics['verdict']} ({why}). {HELP}")
    return lines


def _against_labels(s: TestSet, metrics: Mapping[str, Any]) -> list[str]:
    """Say where the labels of a data set contradict what was expected without them."""
    bounds = metrics.get("ci95", {})
    measured, without = bounds.get(ACCURACY.key), bounds.get(KEY)
    if not metrics["labelled"] or without is None or measured is None or None in measured:
        return []
    if measured[0] <= without[1] and without[0] <= measured[1]:
        return []
    return [
        f"The labels of {s.name} contradict what was expected without them: accuracy "
        f"{metrics[ACCURACY.key]:.2f} ({measured[0]:.2f} to {measured[1]:.2f}) against {metrics[KEY]:.2f} "
        f"({without[0]:.2f} to {without[1]:.2f}). Believe the labels."
    ]


def doubt_section(found: Evaluation) -> Section | None:
    """Return the table of what is expected of each classifier; None where nothing is."""
    rows = []
    for s in found.sets[::-1]:
        for c in found.ordered():
            metrics = found.metrics(c, s)
            if "verdict" not in metrics:
                continue
            accounts = metrics["doubt"]["accounts"]
            told = ", ".join(f"{_named(name)} {change:+z.2f}" for name, change in accounts.items())
            low, high = metrics["ci95"][KEY]
            cells = (f"{metrics[KEY]:.2f} ({low:.2f} to {high:.2f})", metrics["verdict"], told)
            signs = metrics["doubt"]["signs"]
            rows.append((s.name, c.name, f"{signs['source_accuracy']:.2f}", *cells))
    if not rows:
        return None
    columns = ("data set", "classifier", "source", "expected accuracy", "verdict", "change by account")
    return Section("Whether to believe it", (_HOW,), (Table(columns, tuple(rows)),))


def _named(account: str) -> str:
    return "own answers" if account == "own" else f"beside {account}"
