"""What a classifier gets right at each depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.runs.partial import Part
from galshift.training.checkpoint import Trained


@dataclass(frozen=True)
class Rung:
    """One depth.

    Attributes
    ----------
    name : str
    limit : dict of str to float
        Surface brightness [mag / arcsec2] of 5 sigma in one arcsec2 of sky, by band, from the mocks' noise.
    metrics : dict
        As in ``metrics.json``.
    images : ndarray
        (n, C, S, S) linear, of the galaxies in the report.
    answers : list of (str, float)
        The class predicted for each of those and its confidence.
    """

    name: str
    limit: dict[str, float]
    metrics: dict[str, Any]
    images: np.ndarray
    answers: list[tuple[str, float]]

    def part(self) -> Part:
        """Return it as it is stored on disk until the study is done."""
        value = {key: item for key, item in vars(self).items() if key != "images"}
        return Part(value, {"images": self.images})


@dataclass(frozen=True)
class DepthStudy:
    """Everything that ``depth.json`` and the report say.

    Attributes
    ----------
    trained : Trained
    survey, data_set : str
    rungs : tuple of Rung
        Shallowest first.
    truths : tuple of str
        Classes of the galaxies in the report.
    notes : tuple of str
        What was left out.
    """

    trained: Trained
    survey: str
    data_set: str
    rungs: tuple[Rung, ...]
    truths: tuple[str, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the contents of ``depth.json`` but for its sentences."""
        return {
            "survey": self.survey,
            "data_set": self.data_set,
            "depths": [{"name": r.name, "limit_mag_arcsec2": r.limit, **r.metrics} for r in self.rungs],
        }
