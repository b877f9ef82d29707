"""One data set of a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from galshift.data.cutouts import Dataset


@dataclass(frozen=True)
class Part:
    """One data set with its answers.

    Attributes
    ----------
    name : str
    dataset : Dataset
    rows : ndarray
        (N,) of the data set.
    table : Table
        N rows: predictions and anomaly scores.
    features : ndarray
        (N, D); NaN where an image gave no answer.
    """

    name: str
    dataset: Dataset
    rows: np.ndarray
    table: Table
    features: np.ndarray
