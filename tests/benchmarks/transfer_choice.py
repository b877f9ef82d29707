"""Replay selection on the cells of the transfer benchmark: each one's epoch, the method, the regret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from galshift.doubt.choice import choose
from galshift.methods import METHODS
from galshift.provenance import write_json
from galshift.selection import DEFAULT_EPOCH, SELECTORS
from galshift.selection._base import Candidate
from galshift.verbs.adapt.config import AutoConfig
from tests.benchmarks.transfer_runs import Cell

PLAIN_RULES = ("source-loss", "last")
RULES = (*PLAIN_RULES, *SELECTORS.names())


def candidate(cell: Cell, epoch: int, prior: np.ndarray | None = None) -> Candidate:
    """Return what a selector sees of an epoch, counted from 0, given the credible class mix of the target."""
    return Candidate(
        features_target=cell.features["target"][epoch],
        logits_target=cell.logits["target"][epoch],
        features_source_val=cell.features["valid"][epoch],
        logits_source_val=cell.logits["valid"][epoch],
        labels_source_val=cell.labels["valid"],
        n_classes=cell.logits["valid"].shape[2],
        prior_target=prior,
    )


def macro_f1(labels: np.ndarray, predictions: np.ndarray, n_classes: int) -> float:
    """Return macro-F1 over the known classes of images of known class."""
    known = labels >= 0
    return float(
        f1_score(labels[known], predictions[known], average="macro", labels=range(n_classes), zero_division=0)
    )


def epochs(cell: Cell) -> list[int]:
    """Return the epochs that may be chosen: those since the warm-up."""
    return [e for e, phase in enumerate(cell.facts["phases"]) if phase != "warm-up"]


def source_loss_epoch(cell: Cell) -> int:
    """Return the epoch with the lowest validation loss on the source."""
    return min(epochs(cell), key=lambda e: cell.facts["valid_loss"][e])


def measurements(cell: Cell, path: Path, prior: np.ndarray | None) -> dict[str, list[float]]:
    """Return every rule's score of every epoch that may be chosen, kept beside the cell.

    Scores of rules that need the pool are those within the run.
    """
    kept = path.with_suffix(".scores.json")
    versions: dict[str, Any] = {name: SELECTORS.get(name).version for name in SELECTORS.names()}
    versions["prior"] = None if prior is None else [round(float(share), 6) for share in prior]
    if kept.is_file() and kept.stat().st_mtime >= path.stat().st_mtime:
        held = json.loads(kept.read_text())
        if held["versions"] == versions:
            return held["scores"]
    allowed = epochs(cell)
    pool = [candidate(cell, e, prior) for e in allowed]
    scores = {
        "source-loss": [-cell.facts["valid_loss"][e] for e in allowed],
        "last": [float(e) for e in allowed],
    }
    for name in SELECTORS.names():
        found = SELECTORS.get(name)()(pool)
        scores[name] = [float(s) if np.isfinite(s) else -1e9 for s in found]
    write_json(kept, {"versions": versions, "scores": scores})
    return scores


def chosen_epoch(cell: Cell, scores: Mapping[str, list[float]], method: str) -> int:
    """Return the epoch that adapt keeps by default: methods that never see the target go by the source."""
    rule = DEFAULT_EPOCH if METHODS.get(method).uses_target else "source-loss"
    if not METHODS.get(method).needs_source or METHODS.get(method).scoring:
        rule = "last"
    return epochs(cell)[int(np.argmax(scores[rule]))]


def regrets(cell: Cell, scores: Mapping[str, list[float]]) -> dict[str, float]:
    """Return, by rule, the target macro-F1 lost against the best epoch of the run."""
    k = cell.logits["target_test"].shape[2]
    f1 = [
        macro_f1(cell.labels["target_test"], cell.logits["target_test"][e].argmax(1), k) for e in epochs(cell)
    ]
    return {rule: max(f1) - f1[int(np.argmax(scores[rule]))] for rule in RULES}


def auto(cells: Mapping[str, Cell], chosen: Mapping[str, int]) -> tuple[str, np.ndarray, dict[str, Any]]:
    """Return what ``--method auto`` keeps of one task and seed: name, logits of the test part, facts.

    Parameters
    ----------
    cells : mapping
        Method to cell, source-only among them.
    chosen : mapping
        Method to its epoch.
    """
    names = ["source-only", *AutoConfig().methods]
    pool = {name: candidate(cells[name], chosen[name]) for name in names}
    choice = choose(pool)
    logits = cells[choice.chosen].logits["target_test"][chosen[choice.chosen]]
    return choice.chosen, logits, choice.document()
