"""The galaxies that may be suggested, and what a label of each costs."""

from __future__ import annotations

import numpy as np

from galshift.data.paths import split_name
from galshift.domains.target_labels import TRAINED
from galshift.errors import DataError, did_you_mean
from galshift.runs.answers import AnsweredSet
from galshift.runs.held_out import parts_of_images, unseen_galaxies
from galshift.training.checkpoint import Trained


def unlabelled(pool: AnsweredSet) -> tuple[np.ndarray, list[str]]:
    """Return the places (n,) of usable images of galaxies without a label, and what was left out.

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
    """Return those of the candidates (n,) that the run did not train on or adapt to: evaluate uses no others.

    Raises
    ------
    DataError
        When there are none.
    """
    unseen = unseen_galaxies(trained, pool.dataset, split_name(data)[1])[pool.rows]
    left = candidates[unseen[candidates]]
    if not left.size:
        raise DataError("the run trained on all of these galaxies", where=pool.dataset.path)
    if left.size < candidates.size:
        n = len(set(pool.groups[candidates])) - len(set(pool.groups[left]))
        notes.append(f"{n} galaxies that the run trained on or adapted to are not among those drawn from.")
    return left


def not_judging(
    pool: AnsweredSet, candidates: np.ndarray, trained: Trained, data: str, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidates (n,) that judge no network of the run, and places whose labels it has learnt.

    What is labelled to be trained on leaves the test part: without this, the part that is left after several
    rounds would be what no round had asked for.

    Raises
    ------
    DataError
        When there are none.
    """
    part = parts_of_images(trained, pool.dataset, split_name(data)[1])[pool.rows]
    learnt, groups = part == TRAINED, pool.groups
    taught = np.isin(groups, groups[learnt])
    judging = np.isin(groups, groups[np.isin(part, ("valid", "test"))]) & ~taught
    left = candidates[~(taught | judging)[candidates]]
    if not left.size:
        raise DataError(
            "all of these galaxies judge the run, or it has learnt their labels", where=pool.dataset.path
        )
    n = len(set(groups[candidates][judging[candidates]]))
    if n:
        notes.append(
            f"{n} galaxies of {pool.name} are not suggested: they are of the parts that the run sets aside "
            "to judge its networks."
        )
    return left, np.flatnonzero(learnt)


def costs(
    pool: AnsweredSet, candidates: np.ndarray, name: str | None, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidates (n,) that have a cost, and it (n,): 1 where no column `name` is given.

    Raises
    ------
    DataError
        When there is no such column, or it holds no positive number.
    """
    if name is None:
        return candidates, np.ones(len(candidates))
    table = pool.dataset.info.table
    names = [] if table is None else list(table.colnames)
    if name not in names:
        raise DataError(
            f"the data set's catalogue has no column '{name}'",
            where=pool.dataset.path,
            hint=did_you_mean(name, names) if names else "give a catalogue, one row an image, by --labels",
        )
    held = np.ma.asarray(table[name][pool.rows[candidates]])
    if held.dtype.kind not in "fiu" or held.ndim != 1:
        raise DataError(f"the column '{name}' does not hold one number a galaxy", where=pool.dataset.path)
    values = np.ma.filled(held.astype(np.float64), np.nan)
    good = np.isfinite(values) & (values > 0)
    if not good.any():
        raise DataError(f"no galaxy has a positive '{name}'", where=pool.dataset.path)
    if not good.all():
        n = len(set(pool.groups[candidates[~good]]))
        notes.append(f"{n} galaxies have no positive '{name}' and are not suggested.")
    return candidates[good], values[good]
