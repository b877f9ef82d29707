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
class Climb:
    """Every rung, the real images, and what could not be done."""

    sim: str
    real: str
    survey: str
    n: tuple[int, int]
    rungs: tuple[Rung, ...]
    bands: tuple[str, ...]
    real_images: np.ndarray
    real_bands: tuple[str, ...]
    notes: tuple[str, ...]
