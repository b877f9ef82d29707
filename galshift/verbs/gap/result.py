"""What the comparison of two data sets found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.data.cutouts import Dataset


@dataclass(frozen=True)
class Side:
    """One of the two data sets.

    Attributes
    ----------
    name : str
    dataset : Dataset
    rows : ndarray
        One image of each galaxy that is compared.
    unit : str or None
        Of its measurements: the other's, where it could be converted.
    measured : dict of str to ndarray
        (N,) quantities by name.
    features : ndarray or None
        (N, D) of the model's layer.
    mix : dict or None
        Share of each predicted class.
    """

    name: str
    dataset: Dataset
    rows: np.ndarray
    unit: str | None
    measured: dict[str, np.ndarray]
    features: np.ndarray | None = None
    mix: dict[str, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """Everything that ``gap.json`` and the report say.

    Attributes
    ----------
    sides : tuple of Side
        Two.
    facts : list of dict
        What the files say: ``what``, ``a``, ``b``.
    quantities : list of dict
        From :func:`galshift.evaluation.measurements.compare`.
    images, features : dict or None
        From :func:`galshift.evaluation.gap.domain_gap`, of the measurements and of the model's features.
    model : str or None
    warnings : tuple of str
    """

    sides: tuple[Side, Side]
    facts: list[dict[str, str]]
    quantities: list[dict[str, Any]]
    images: dict[str, Any] | None
    features: dict[str, Any] | None
    model: str | None
    warnings: tuple[str, ...]

    def document(self, sentences: Sequence[str]) -> dict[str, Any]:
        """Return the contents of ``gap.json``; `sentences` are those at its top."""
        return {
            "between": [side.name for side in self.sides],
            "n": [len(side.rows) for side in self.sides],
            "answer": list(sentences),
            "files": self.facts,
            "quantities": self.quantities,
            "images": self.images,
            "model": self.model,
            "features": self.features,
            "predicted_mix": {s.name: s.mix for s in self.sides} if self.model else None,
            "warnings": list(self.warnings),
        }
