"""``--threshold`` in an evaluation: what was expected of a selection, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from galshift.errors import DataError
from galshift.evaluation.bootstrap import numbered, percentile_interval, replicate_weights
from galshift.evaluation.per_class import FEW
from galshift.intervals import wilson_interval
from galshift.report import Section, Table
from galshift.report.scores import number
from galshift.runs.held_out import outputs_of
from galshift.runs.test_sets import TestSet
from galshift.runs.thresholds import Selection, select
from galshift.verbs._threshold import Rule, rules_of
from galshift.verbs.evaluate.config import EvaluateConfig
from galshift.verbs.evaluate.result import Evaluation


def with_thresholds(found: Evaluation, config: EvaluateConfig, device: str) -> Evaluation:
    """Return the evaluation with the thresholds of `config` for the first classifier on each test set.

    Raises
    ------
    DataError
        When it has no classes, or not the named one, or a purity cannot be reached.
    """
    if found.main.trained.head.kind != "class":
        raise DataError(
            "thresholds are of classes, and this run predicts something else", where="--threshold"
        )
    rules = rules_of(config.threshold, found.classes)
    outcomes, notes = dict(found.outcomes), []
    documents: dict[str, dict[str, Any]] = {}
    for s in found.sets:
        outcome = outcomes[found.main.name, s.name]
        selection = _selection(found, s, rules, config, device)
        selected = {
            name: np.nan_to_num(outcome.answers.centre[:, found.classes.index(name)]) >= one.threshold
            for name, one in selection.chosen.items()
        }
        document = selection.document()
        for name, row in document.items():
            row["n_selected"] = int((selected[name] & outcome.answers.usable).sum())
            row |= _became(found, s, name, selected[name], config)
        documents[s.name] = document
        notes += [f"{s.name}: {line}" for line in selection.sentences()]
        outcomes[found.main.name, s.name] = replace(
            outcome,
            metrics={**outcome.metrics, "thresholds": document},
            selected=selection.columns(outcome.answers.centre, found.classes),
        )
    return replace(found, outcomes=outcomes, sections=(*found.sections, _section(documents, notes)))


def _selection(
    found: Evaluation, s: TestSet, rules: Mapping[str, Rule], config: EvaluateConfig, device: str
) -> Selection:
    answers = found.answers(found.main, s)
    # The network's own order of classes: that of its logits.
    own = None if s.role == "source" else outputs_of(answers, s.groups, np.flatnonzero(answers.usable))
    return select(found.main.trained, rules, own, device, seed=config.seed)


def _became(
    found: Evaluation, s: TestSet, name: str, selected: np.ndarray, config: EvaluateConfig
) -> dict[str, Any]:
    """Return purity and completeness of a selection on a test set with labels; nothing without."""
    known = found.answers(found.main, s).usable & (s.labels >= 0)
    if not known.any():
        return {}
    mine, chosen = s.labels[known] == found.classes.index(name), selected[known]
    group, n_groups = numbered(s.groups[known], int(known.sum()))
    weights = np.concatenate(
        [np.ones((1, n_groups)), *replicate_weights(n_groups, config.n_bootstrap, config.seed)]
    )
    images = weights[:, group]
    found_ = {}
    for key, among in (("purity", chosen), ("completeness", mine)):
        with np.errstate(invalid="ignore", divide="ignore"):
            values = images @ (mine & chosen) / (images @ among)
        low, high = percentile_interval(values[1:])
        trials = len(np.unique(group[among]))
        if trials < FEW or not high > low:
            low, high = wilson_interval(np.nan_to_num(values[0]) * trials, trials)
        found_ |= {key: float(values[0]), f"{key}_ci95": [float(low), float(high)]}
    return found_


def _section(documents: Mapping[str, Mapping[str, Any]], notes: list[str]) -> Section:
    rows = []
    for where, document in documents.items():
        for name, row in document.items():
            purity = row["expected_purity"]
            low, high = row["contamination_ci95"] or (None, None)
            expected = number(purity)
            if low is not None and expected is not None:
                expected += f" ({1 - high:.2f} to {1 - low:.2f})"
            measured = (_measured(row, key) for key in ("purity", "completeness"))
            shown = (row["rule"], f"{row['threshold']:.3f}", row["n_selected"], expected)
            rows.append((where, name, *shown, *measured))
    columns = ("data set", "class", "rule", "p from", "images", "purity expected", "purity", "completeness")
    caption = (
        "Expected: from held-out images of the source, for the data's class mix; the last two: by labels."
    )
    return Section("Selected classes", tuple(notes), (Table(columns, tuple(rows), caption),))


def _measured(row: Mapping[str, Any], key: str) -> str | None:
    if key not in row or not np.isfinite(row[key]):
        return None
    low, high = row[f"{key}_ci95"]
    return f"{row[key]:.2f} ({low:.2f} to {high:.2f})"
