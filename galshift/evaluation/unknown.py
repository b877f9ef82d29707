"""How well a class that the source does not have is told from those that it has."""

from __future__ import annotations

from typing import Any

import numpy as np

from galshift.evaluation.ranks import average_ranks


def unknown_metrics(
    scores: np.ndarray, unknown: np.ndarray, right: np.ndarray, threshold: float | None = 0.5
) -> dict[str, Any]:
    """Return what scores say of images of known and unknown class.

    Parameters
    ----------
    scores : ndarray
        (N,) finite, high for an unknown class.
    unknown, right : ndarray
        (N,) bool: of a class that the source does not have; of a known one, and classified right.
    threshold : float or None
        Above it an image is flagged; None: the score has no threshold.

    Returns
    -------
    dict
        ``n_known``, ``n_unknown``, ``auroc`` (the chance that an unknown image scores above a known one, ties
        half), and with a threshold ``known_right`` (right and not flagged, of the known), ``unknown_found``
        (flagged, of the unknown) and ``h_score``, their harmonic mean (Fu et al. 2020); None where either
        kind is missing.
    """
    n_unknown, n_known = int(unknown.sum()), int((~unknown).sum())
    both = n_unknown > 0 and n_known > 0
    found: dict[str, Any] = {"n_known": n_known, "n_unknown": n_unknown, "auroc": None}
    if both:
        above = average_ranks(scores)[unknown].sum() - n_unknown * (n_unknown + 1) / 2
        found["auroc"] = float(above / (n_unknown * n_known))
    if threshold is None:
        return found
    found |= {"known_right": None, "unknown_found": None, "h_score": None}
    if both:
        flagged = scores > threshold
        a, b = float((right & ~flagged)[~unknown].mean()), float(flagged[unknown].mean())
        found |= {"known_right": a, "unknown_found": b, "h_score": 2 * a * b / (a + b) if a + b else 0.0}
    return found
