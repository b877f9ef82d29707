"""How the labelled galaxies were drawn: what the file of labels says of it, held against the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import chi2_contingency

from galshift.data.join import join_rows
from galshift.data.options import ReadOptions
from galshift.data.paths import bare_name
from galshift.data.tables import read_table
from galshift.errors import DataError
from galshift.runs.held_out import PROBABILITY, STRATUM
from galshift.verbs.count.galaxies import NO_LABEL, Galaxies

_UNLIKE = 1e-3  # p value of the answers of a random sample, below which a note is made
_OFF = 0.2  # relative difference of two inclusion probabilities that is worth a note


@dataclass(frozen=True)
class Design:
    """Which galaxies have labels that count, and how they were drawn.

    Attributes
    ----------
    frame : ndarray
        (N,) bool: the galaxies that the sample was drawn from, which no training has seen.
    labelled : ndarray
        (N,) bool: those with a label, all of the frame.
    simple : bool
        Whether every galaxy of the frame had the same chance; False: every one with the same answer had.
    notes : tuple of str
    """

    frame: np.ndarray
    labelled: np.ndarray
    simple: bool
    notes: tuple[str, ...]


def design_of(galaxies: Galaxies, classes: Sequence[str], read: ReadOptions) -> Design:
    """Return how the galaxies with labels were drawn.

    Raises
    ------
    DataError
        When no label is left that a training has not seen, or the sample was drawn by other answers.
    """
    labelled = galaxies.labels != NO_LABEL
    notes = []
    seen = labelled & ~galaxies.unseen
    if seen.any():
        notes.append(
            f"{seen.sum()} labelled galaxies are left out: the run trained on them or adapted to them."
        )
    labelled &= galaxies.unseen
    if not labelled.any():
        raise DataError(
            "no galaxy has a label and was left alone by the training",
            where=read.labels,
            hint="galshift suggest --aim measure chooses galaxies to label among the others",
        )
    said = _said(galaxies, read)
    simple = True
    if said is None:
        said_by = bare_name(read.labels)
        notes.append(
            f"{said_by} does not say how its galaxies were chosen: they are taken for a random sample."
        )
    else:
        simple = _held_against(said, galaxies, labelled, classes, notes)
    if simple and (p := _unlike(galaxies, labelled)) < _UNLIKE:
        notes.append(
            f"The network answers otherwise to the labelled galaxies than to the rest (p = {p:.1g}): if they "
            "were not drawn at random, the counts are wrong."
        )
    return Design(galaxies.unseen, labelled, simple, tuple(notes))


@dataclass(frozen=True)
class _Said:
    """Of each galaxy, as the file has it: NaN and empty where it is not in the sample."""

    probability: np.ndarray
    stratum: np.ndarray


def _said(galaxies: Galaxies, read: ReadOptions) -> _Said | None:
    """What the file of labels says of the chances of its galaxies; None where it says nothing."""
    path = Path(str(read.labels))
    if not path.is_file():
        return None
    table = read_table(path)
    if PROBABILITY not in table.colnames:
        return None
    rows = join_rows(galaxies.dataset, table, read.id_column, path)
    names, group = np.unique(np.asarray(galaxies.dataset.info.groups), return_inverse=True)
    probability, stratum = np.full(len(names), np.nan), np.full(len(names), "", dtype=object)
    for image, here in enumerate(rows):
        if here:
            probability[group[image]] = float(table[PROBABILITY][here[0]])
            stratum[group[image]] = str(table[STRATUM][here[0]]) if STRATUM in table.colnames else ""
    mine = group[galaxies.rows]
    return _Said(probability[mine], stratum[mine])


def _held_against(
    said: _Said, galaxies: Galaxies, labelled: np.ndarray, classes: Sequence[str], notes: list[str]
) -> bool:
    """Return whether the sample is a simple one; note labels that are missing and data that have changed."""
    drawn = np.isfinite(said.probability) & galaxies.unseen
    foreign = labelled & ~drawn
    if foreign.any():
        raise DataError(
            f"{foreign.sum()} labelled galaxies have no {PROBABILITY}: they were not drawn with the others",
            hint="leave out their rows, or, where all are one random sample, the column",
        )
    missing = int((drawn & ~labelled).sum())
    if missing:
        notes.append(
            f"{missing} of the {drawn.sum()} galaxies drawn have no label: the intervals hold if they are "
            "like the others."
        )
    answers = np.array([*classes])[galaxies.probabilities.argmax(axis=1)]
    simple = np.unique(said.probability[drawn].round(9)).size == 1
    cells = [galaxies.unseen] if simple else [galaxies.unseen & (answers == name) for name in classes]
    if not simple and (said.stratum[drawn] != answers[drawn]).any():
        raise DataError(
            "these galaxies were drawn with unequal chances, by the answers of another network",
            hint="count with the run that suggest was given",
        )
    for cell in cells:
        if (cell & drawn).any():
            expected, found = said.probability[cell & drawn][0], (cell & drawn).sum() / cell.sum()
            if abs(found - expected) > _OFF * max(expected, found):
                notes.append(
                    f"The labels were drawn with a chance of {expected:.3g}, and are {found:.3g} of the "
                    "galaxies here: the data set or the run is not the one that they were drawn for."
                )
                break
    return simple


def _unlike(galaxies: Galaxies, labelled: np.ndarray) -> float:
    """Return the p value that labelled and other galaxies of the frame are answered alike."""
    answers = galaxies.probabilities.argmax(axis=1)
    rest = galaxies.unseen & ~labelled
    table = np.stack([np.bincount(answers[part], minlength=answers.max() + 1) for part in (labelled, rest)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    return float(chi2_contingency(table).pvalue)
