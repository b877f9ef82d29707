"""What each step of realism gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rung:
    """One degree of realism.

    Attributes
    ----------
    name : str
    quantities : list of dict
        As of :func:`galshift.evaluation.measurements.compare`, the simulated side first.
    mean_ks : float
        Mean over the quantities that every rung shares with the real images.
    gap : dict or None
        From :func:`galshift.evaluation.gap.domain_gap` of the measurements.
    features : dict or None
        The same of a model's features.
    images : ndarray
        (n, C, H, W) of the galaxies in the report.
    """

    name: str
    quantities: list[dict[str, Any]]
    mean_ks: float
    gap: dict[str, Any] | None
    features: dict[str, Any] | None
    images: np.ndarray


@dataclass(frozen=True)
class Rungs:
    """Everything that ``ladder.json`` and the report say.

    Attributes
    ----------
    sim, real, survey : str
        Names of the two data sets and of the preset.
    n : tuple of int
        Simulated and real galaxies.
    rungs : tuple of Rung
        From the images as simulated to all that is known of the survey.
    bands, real_bands : tuple of str
    real_images : ndarray
        (n, C, H, W) of the real galaxies in the report.
    notes : tuple of str
        What a reader should know before the numbers.
    """

    sim: str
    real: str
    survey: str
    n: tuple[int, int]
    rungs: tuple[Rung, ...]
    bands: tuple[str, ...]
    real_images: np.ndarray
    real_bands: tuple[str, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the contents of ``ladder.json`` but for its sentences."""
        return {
            "between": [self.sim, self.real],
            "n": list(self.n),
            "survey": self.survey,
            "rungs": [
                {
                    "name": rung.name,
                    "mean_ks": rung.mean_ks,
                    "images": rung.gap,
                    "features": rung.features,
                    "quantities": rung.quantities,
                }
                for rung in self.rungs
            ],
        }
