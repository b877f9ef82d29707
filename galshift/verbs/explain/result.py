"""What Grad-CAM found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.data.cutouts import Dataset

if TYPE_CHECKING:
    from galshift.training.checkpoint import Trained

SCORES = ("on_galaxy", "on_neighbors", "on_sky", "on_edge", "galaxy_area", "enrichment")


@dataclass(frozen=True)
class Explained:
    """The maps of one data set.

    Attributes
    ----------
    name : str
    dataset : Dataset
    rows : ndarray
        (N,) images with an answer.
    labels : ndarray
        (N,) in the model's classes, -1 where unknown.
    probabilities : ndarray
        (N, K).
    maps : ndarray
        (N, h, w), each of sum one, or zero where nothing speaks for the class.
    scores : dict of str to ndarray
        From :func:`galshift.evaluation.explain.map_scores`.
    n_flagged : int
        Images left out because they have no answer.
    """

    name: str
    dataset: Dataset
    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    maps: np.ndarray
    scores: dict[str, np.ndarray]
    n_flagged: int

    @property
    def predicted(self) -> np.ndarray:
        """(N,) class indices."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True)
class Explanation:
    """Everything that ``explain.json`` and the report say.

    Attributes
    ----------
    trained : Trained
    layer : str
    which : str
        ``predicted`` or ``true``: the class whose evidence is drawn.
    sets : tuple of Explained
    check : list of dict
        From :func:`galshift.evaluation.explain.randomisation_check`.
    """

    trained: Trained
    layer: str
    which: str
    sets: tuple[Explained, ...]
    check: list[dict[str, Any]]

    def document(self) -> dict[str, Any]:
        """Return the contents of ``explain.json`` but for its sentences."""
        return {
            "layer": self.layer,
            "map_pixels": list(self.sets[0].maps.shape[1:]),
            "class_explained": self.which,
            "data_sets": {s.name: self._summary(s) for s in self.sets},
            "randomisation": self.check,
        }

    def _summary(self, s: Explained) -> dict[str, Any]:
        classes = self.trained.classes
        groups = {name: s.predicted == k for k, name in enumerate(classes)}
        found = {
            "n": len(s.rows),
            "n_flagged": s.n_flagged,
            "n_empty_maps": int((s.maps.sum(axis=(1, 2)) == 0).sum()),
        }
        found |= _means(s.scores, np.ones(len(s.rows), dtype=bool))
        found["by_predicted_class"] = {
            name: {"n": int(chosen.sum()), **_means(s.scores, chosen)}
            for name, chosen in groups.items()
            if chosen.any()
        }
        known = s.labels >= 0
        if known.any():
            right = s.predicted == s.labels
            found["right"] = {"n": int((known & right).sum()), **_means(s.scores, known & right)}
            found["wrong"] = {"n": int((known & ~right).sum()), **_means(s.scores, known & ~right)}
        return found


def _means(scores: dict[str, np.ndarray], chosen: Sequence[bool] | np.ndarray) -> dict[str, float]:
    """Mean of each score over the chosen images; NaN where none has one."""
    found = {}
    for key in SCORES:
        values = scores[key][chosen]
        values = values[np.isfinite(values)]
        found[key] = float(values.mean()) if len(values) else float("nan")
    return found
