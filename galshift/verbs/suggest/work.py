"""The choice of the galaxies to label, and the table to fill in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.data.paths import split_name
from galshift.embedding.labelling import at_random, at_random_in_strata, uncertain_and_different
from galshift.errors import DataError
from galshift.evaluation.honesty import entropy
from galshift.evaluation.predictions import write_predictions
from galshift.report import build
from galshift.rundirectory import RunDirectory
from galshift.runs.answers import AnsweredSet, answered_set
from galshift.runs.classifiers import load_classifier
from galshift.runs.held_out import PROBABILITY, STRATUM, first_images, unseen_galaxies
from galshift.training.checkpoint import Trained
from galshift.verbs.suggest.config import LABEL, SuggestConfig
from galshift.verbs.suggest.report import suggest_report


def work(config: SuggestConfig, run: RunDirectory, device: str) -> dict[str, Any]:
    """Choose the galaxies of `config`, write the table and the report, and return the results.

    Raises
    ------
    DataError
        When no galaxy is left to choose from.
    """
    trained = load_classifier(config.run)
    pool = answered_set(trained, config.data, config.read, device, limit=config.limit, seed=config.seed)
    candidates, notes = unlabelled(pool)
    if config.aim == "measure":
        candidates = not_trained_on(pool, candidates, trained, config.data, notes)
    chosen = candidates[choose(pool, candidates, config)]
    table = suggestion_table(trained, pool, chosen)
    if config.aim == "measure":
        say_chances(table, pool, candidates, chosen, trained.classes, by_answer=config.strata != "none")
    n_galaxies = len(set(pool.groups[candidates]))
    if n_galaxies < config.budget:
        notes.append(f"There are only {n_galaxies} galaxies to choose from, fewer than the budget.")
    results = {
        "aim": config.aim,
        **({} if config.strata == "none" else {"strata": config.strata}),
        "n": len(chosen),
        "n_candidates": n_galaxies,
        "data": pool.name,
        "classes": list(trained.classes),
        "to_fill_in": blanks(trained),
        "mean_entropy": float(table["entropy"].mean()),
        "half_width": 1.96 * 0.5 / len(chosen) ** 0.5,
        "warnings": notes,
        "outputs": {"table": "suggest.csv", "report": "report.html"},
    }
    write_predictions(run.path / "suggest.csv", table)
    build(run.path / "report.html", suggest_report(trained, pool, chosen, table, results, config))
    return results


def blanks(trained: Trained) -> list[str]:
    """Return the empty columns of the table: one for the class, or the votes for each and their total."""
    head = trained.head
    if head.kind != "votes":
        return [LABEL]
    return [*head.names, *([head.total] if isinstance(head.total, str) else [])]


def unlabelled(pool: AnsweredSet) -> tuple[np.ndarray, list[str]]:
    """Return the places of usable images of galaxies without a label, and what was left out.

    Where every galaxy has a label all are candidates, as in a trial of the method.

    Raises
    ------
    DataError
        When none is usable.
    """
    known = np.isin(pool.groups, pool.groups[pool.labels >= 0])
    notes = []
    if known.all():
        notes = [f"Every galaxy of {pool.name} has a label already; the labels were not used."]
        known[:] = False
    elif known.any():
        n = len(set(pool.groups[known]))
        notes = [f"{n} galaxies of {pool.name} have a label already and are not suggested."]
    candidates = np.flatnonzero(pool.usable & ~known)
    if not candidates.size:
        raise DataError("no image without a label gave an answer", where=pool.dataset.path)
    return candidates, notes


def not_trained_on(
    pool: AnsweredSet, candidates: np.ndarray, trained: Trained, data: str, notes: list[str]
) -> np.ndarray:
    """Return the candidates that the run did not train on or adapt to: evaluate uses no others.

    Raises
    ------
    DataError
        When there are none.
    """
    unseen = unseen_galaxies(trained, pool.ids, pool.groups, split_name(data)[1])
    left = candidates[unseen[candidates]]
    if not left.size:
        raise DataError("the run trained on all of these galaxies", where=pool.dataset.path)
    if left.size < candidates.size:
        n = len(set(pool.groups[candidates])) - len(set(pool.groups[left]))
        notes.append(f"{n} galaxies that the run trained on or adapted to are not among those drawn from.")
    return left


def choose(pool: AnsweredSet, candidates: np.ndarray, config: SuggestConfig) -> np.ndarray:
    """Return positions in `candidates`, in the order of labelling."""
    groups = pool.groups[candidates]
    if config.aim == "measure" and config.strata == "answers":
        answers = answered(pool, candidates)
        return at_random_in_strata(groups, answers, config.budget, config.seed)
    if config.aim == "measure":
        return at_random(groups, config.budget, config.seed)
    uncertainty = entropy(pool.probabilities[candidates])
    return uncertain_and_different(pool.features[candidates], uncertainty, groups, config.budget, config.seed)


def answered(pool: AnsweredSet, candidates: np.ndarray) -> np.ndarray:
    """Return the class that each candidate's galaxy is given: the answer to the first of its images."""
    first = first_images(pool.groups, pool.usable)
    given = pool.probabilities[first].argmax(axis=1)
    return given[np.searchsorted(pool.groups[first], pool.groups[candidates])]


def say_chances(
    table: Table,
    pool: AnsweredSet,
    candidates: np.ndarray,
    chosen: np.ndarray,
    classes: Sequence[str],
    *,
    by_answer: bool,
) -> None:
    """Add to the table how probable it was that each galaxy would be drawn, and from among which."""
    one_each = candidates[np.unique(pool.groups[candidates], return_index=True)[1]]
    cell = np.zeros(len(pool.groups), dtype=int)
    if by_answer:
        cell[candidates] = answered(pool, candidates)
        table[STRATUM] = np.array(classes)[cell[chosen]]
    drawn, there = (np.bincount(cell[rows], minlength=len(classes)) for rows in (chosen, one_each))
    asked = len(pool.rows) / len(pool.dataset)  # where --limit left some out, at random
    table[PROBABILITY] = (asked * drawn / np.maximum(there, 1))[cell[chosen]]


def suggestion_table(trained: Trained, pool: AnsweredSet, chosen: np.ndarray) -> Table:
    """Return one row for each galaxy to label, with empty columns to fill in."""
    p = pool.probabilities[chosen]
    table = Table()
    table["order"] = np.arange(1, len(chosen) + 1)
    table["id"], table["group"] = pool.ids[chosen].astype(str), pool.groups[chosen].astype(str)
    for name in blanks(trained):
        table[name] = np.full(len(chosen), "", dtype="U32")
    table["prediction"] = np.array(trained.classes)[p.argmax(axis=1)]
    table["confidence"] = p.max(axis=1)
    table["entropy"] = entropy(p)
    return table
