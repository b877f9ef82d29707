"""What a network for numbers says of images, as arrays, as a table and as scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.evaluation.predictions import value_table, votes_table

if TYPE_CHECKING:
    from astropy.table import Table

    from galshift.training.checkpoint import Trained
    from galshift.training.predict import Forward


@dataclass(frozen=True)
class Answers:
    """What one network says of N images.

    Attributes
    ----------
    centre : ndarray
        (N, L) values, or (N, K) expected vote fractions; NaN where the image could not be used.
    width : ndarray
        (N, L) standard deviations, or (N, 1) concentrations.
    features : ndarray
        (N, D).
    flags : ndarray
        (N,).
    """

    centre: np.ndarray
    width: np.ndarray
    features: np.ndarray
    flags: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """(N,) bool: images with an answer."""
        return np.isfinite(self.centre).all(axis=1)


def answers(trained: Trained, out: Forward, names: Sequence[str]) -> Answers:
    """Return what the outputs `out` of a network mean, with labels or classes in the order of `names`."""
    head = trained.head
    order = [head.names.index(name) for name in names]
    if head.kind == "votes":
        width = head.concentration_of(out.logits)[:, None]
        return Answers(out.probabilities[:, order], width, out.features, out.flags)
    values, sigmas = head.values(out.logits)
    return Answers(values[:, order], sigmas[:, order], out.features, out.flags)


def prediction_table(
    kind: str,
    names: Sequence[str],
    said: Answers,
    truth: np.ndarray | None,
    dataset: Dataset,
    rows: np.ndarray,
    *,
    data_set: str,
    split: str | np.ndarray,
) -> Table:
    """Return the table of predictions of one data set.

    Parameters
    ----------
    kind : {"value", "votes"}
    names : sequence of str
        Of the labels, or of the classes.
    said : Answers
    truth : ndarray or None
        (N, L) labels, or (N, K) votes.
    dataset : Dataset
    rows : ndarray
        (N,) the images of `dataset` that `said` is about.
    data_set : str
        What it is called.
    split : str or ndarray of str
    """
    info = dataset.info
    columns = {
        "ids": info.ids[rows],
        "groups": info.groups[rows],
        "data_set": data_set,
        "split": split,
        "catalogue": None if info.table is None else info.table[rows],
    }
    if kind == "votes":
        return votes_table(
            fractions=said.centre,
            concentration=said.width[:, 0],
            counts=truth,
            classes=names,
            flags=said.flags,
            **columns,
        )
    return value_table(
        names=names, values=said.centre, sigmas=said.width, labels=truth, flags=said.flags, **columns
    )
