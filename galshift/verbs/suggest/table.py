"""The table to fill in: a row for each galaxy to label, and those whose labels the run has learnt already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table, vstack

from galshift.domains.label_record import LabelRecord
from galshift.evaluation.honesty import entropy
from galshift.runs.answers import AnsweredSet
from galshift.runs.held_out import PROBABILITY, STRATUM, first_images
from galshift.training.checkpoint import Trained
from galshift.verbs.suggest.config import LABEL


def blanks(trained: Trained) -> list[str]:
    """Return the empty columns of the table: one for the class, or the votes for each and their total."""
    head = trained.head
    if head.kind != "votes":
        return [LABEL]
    return [*head.names, *([head.total] if isinstance(head.total, str) else [])]


def answered(pool: AnsweredSet, candidates: np.ndarray) -> np.ndarray:
    """Return the class (n,) that each candidate's galaxy is given: the answer to the first of its images."""
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
    """Add to the table how probable it was that each galaxy would be drawn, and from among which.

    Parameters
    ----------
    table : Table
        Of the galaxies `chosen`, changed in place.
    pool : AnsweredSet
    candidates, chosen : ndarray
        (n,) and (m,) places in it: what could be drawn, and what was.
    classes : sequence of str
    by_answer : bool
        Whether the galaxies were drawn class by class of their answers, which is then a column too.
    """
    one_each = candidates[np.unique(pool.groups[candidates], return_index=True)[1]]
    cell = np.zeros(len(pool.groups), dtype=int)
    if by_answer:
        cell[candidates] = answered(pool, candidates)
        table[STRATUM] = np.array(classes)[cell[chosen]]
    drawn, there = (np.bincount(cell[rows], minlength=len(classes)) for rows in (chosen, one_each))
    asked = len(pool.rows) / len(pool.dataset)  # where --limit left some out, at random
    table[PROBABILITY] = (asked * drawn / np.maximum(there, 1))[cell[chosen]]


def suggestion_table(trained: Trained, pool: AnsweredSet, chosen: np.ndarray) -> Table:
    """Return one row for each galaxy at the places `chosen` (n,), with empty columns to fill in."""
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


def add_costs(table: Table, cost: np.ndarray, name: str | None, batch: float | None) -> None:
    """Add each label's `cost` (n,) and the number of the batch that it is in, where these are asked for."""
    if name is not None:
        table["cost"] = cost
    if batch is not None:
        number, spent, batches = 1, 0.0, []
        for one in cost:
            if spent and spent + one > batch * (1 + 1e-12):
                number, spent = number + 1, 0.0
            spent += one
            batches.append(number)
        table.add_column(np.array(batches, dtype=int), index=1, name="batch")


def with_learnt(table: Table, record: LabelRecord | None) -> Table:
    """Return the table with the galaxies at its end whose labels the run has learnt.

    The next adaptation learns all labels of one file.

    Parameters
    ----------
    table : Table
        Of the galaxies to label.
    record : LabelRecord or None
        Of the run.
    """
    if record is None:
        return table
    n, rows = len(record.ids), Table()
    for name in table.colnames:
        blank = {"U": "", "i": 0}.get(table[name].dtype.kind, np.nan)
        rows[name] = np.full(n, blank, dtype=table[name].dtype)
    rows["id"], rows["group"] = np.array(record.ids), np.array(record.groups)
    if LABEL in table.colnames:
        rows[LABEL] = np.array(record.labels)
    else:
        for k, name in enumerate(record.names):
            rows[name] = np.array([f"{one[k]:g}" for one in record.labels])
    return vstack([table, rows])
