"""Where the true numbers of a data set are: in its labels or its table, by the names that a network knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.cutouts import Dataset
from galshift.data.options import ReadOptions

if TYPE_CHECKING:
    from galshift.training.heads import Head


def numbered_options(read: ReadOptions, head: Head) -> ReadOptions:
    """Return how to read labels for a network with this head, whose names are the catalogue's columns."""
    if head.kind == "class" or not (read.labels or read.label_column or read.vote_columns):
        return read
    changes: dict[str, Any] = {"label_kind": head.kind}
    if head.kind == "votes" and not read.vote_columns and not read.label_column:
        changes |= {"vote_columns": head.names, "vote_total": read.vote_total or head.total}
    elif head.kind == "value" and not read.label_column and Path(read.labels or "").exists():
        changes["label_column"] = ",".join(head.names)
    return read.model_copy(update=changes)


def truth_of(dataset: Dataset, head: Head, read: ReadOptions) -> np.ndarray:
    """Return (N, L) continuous labels or (N, K) votes in the order of the head, NaN where unknown.

    They are found by name; only a single label whose column `read` names may be called otherwise.
    """
    from galshift.data.numeric_labels import values_of, votes_of

    info = dataset.info
    if head.kind == "votes":
        return votes_of(info, head.names, head.total)
    named = read.label_column or (read.labels if not Path(read.labels or ".").exists() else None)
    if named and len(head.names) == 1 and np.shape(info.labels) == (info.n, 1):
        return np.asarray(info.labels, dtype=np.float64)
    return values_of(info, head.names)
