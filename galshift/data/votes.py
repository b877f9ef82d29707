"""Classes from votes, given as fractions or as counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from galshift.data.no_label import numbers_of_words
from galshift.data.options import ReadOptions, mapped
from galshift.data.tables import column
from galshift.errors import DataError

#: A class whose fraction of the votes is above this has more than all: by more than rounding.
MORE = 1.02


def votes(
    table: Any, join: Sequence[Sequence[int]], options: ReadOptions
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Return labels, classes and notes from columns of votes.

    The winner is the label where its fraction of the votes is at least ``min_confidence``, else -1; with
    ``soft_labels`` the labels are all fractions, (N, K).  `join` has the table's rows of each image.
    Fractions are taken as they are: what the columns leave out (artefacts) counts against the winner.  Counts
    are divided by ``vote_total``, or else by their sum.

    Raises
    ------
    DataError
        When a column is missing or holds words, or a class has more votes than there are in all.
    """
    rows = _by_image(table, join, options.vote_columns, options.labels)
    rows = np.where(rows >= 0, rows, np.nan)
    total = np.nansum(rows, axis=1)
    classes = [mapped(name, options.classes_map) for name in options.vote_columns]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.nan_to_num(rows) / total[:, None]
    if options.soft_labels:
        return shares.astype(np.float32), tuple(classes), []
    counted = are_counts(rows)
    winner = np.argmax(np.nan_to_num(shares), axis=1)
    most = np.nan_to_num(np.max(np.nan_to_num(rows), axis=1))
    if counted:
        with np.errstate(invalid="ignore", divide="ignore"):
            most = np.nan_to_num(most / _totals(table, join, total, options))
        if (most > MORE).any():
            raise DataError(
                f"--vote-total {_shown(options.vote_total)} is less than the votes for one class "
                f"({int((most > MORE).sum())} images)",
                where=options.labels,
                hint="leave --vote-total out: counts are then divided by their sum",
            )
    sure = most >= max(options.min_confidence, 1e-12)
    names = sorted({name for name in classes if name})
    index = np.asarray([names.index(name) if name else -1 for name in classes])
    labels = np.where(sure, index[winner], -1).astype(np.int64)
    notes = [what_votes_are(rows, "if per cent, name all classes")] if counted else []
    unsure = int((~sure & (total > 0)).sum())
    if unsure:
        notes.append(
            f"{unsure} images have no label: their winner has less than {options.min_confidence:g} of "
            "the votes"
        )
    return labels, tuple(names), notes


def are_counts(rows: np.ndarray) -> bool:
    """Return whether votes (N, K) are counts (or per cent): above one, or whole numbers that sum to more.

    Debiased fractions of Galaxy Zoo sum to more than one and are none.
    """
    known = rows[np.isfinite(rows).all(axis=1)]
    if not len(known):
        return False
    whole = bool((known == np.round(known)).all())
    return bool((known > 1 + 1e-6).any()) or (whole and bool((known.sum(axis=1) > 1).any()))


def _shown(total: object) -> str:
    return f"{total:g}" if isinstance(total, float) else str(total)


def what_votes_are(rows: np.ndarray, otherwise: str) -> str:
    """Return a note on (N, K) votes that are no fractions: counts, or per cent, which numbers do not tell."""
    known = rows[np.isfinite(rows)]
    whole = (known == np.round(known)).all()
    return "the votes are counts" if whole else f"the votes are taken as counts ({otherwise})"


def _by_image(table: Any, join: Sequence[Sequence[int]], names: Sequence[str], where: object) -> np.ndarray:
    """(N, K) means over each image's rows, NaN where it has none."""
    values = np.stack([_numbers(table, name, where) for name in names], axis=1)
    rows = np.full((len(join), values.shape[1]), np.nan)
    for image, found in enumerate(join):
        if len(found):
            rows[image] = values[found].mean(axis=0)
    return rows


def _numbers(table: Any, name: str, where: object) -> np.ndarray:
    """One column as (N,) float64, NaN where it is empty."""
    held = np.ma.asarray(column(table, name, where))
    try:
        if held.dtype.kind in "UO":
            return numbers_of_words(held)
        return np.ma.filled(held.astype(np.float64), np.nan)
    except (TypeError, ValueError):
        raise DataError(
            f"the column '{name}' holds words, not votes",
            where=where,
            hint="--votes names columns of numbers, one a class; class names go to --label-column",
        ) from None


def _totals(
    table: Any, join: Sequence[Sequence[int]], summed: np.ndarray, options: ReadOptions
) -> np.ndarray:
    """Votes in all of each image: a column, a number, or the sum of the columns."""
    total = options.vote_total
    if total is None:
        return summed
    try:
        return np.full(len(join), float(total))
    except ValueError:
        return _by_image(table, join, [str(total)], options.labels)[:, 0]
