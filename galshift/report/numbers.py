"""Drawings for networks that predict numbers: against the truth, and whether error bars can be believed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from galshift.report import figures
from galshift.report.page import Figure

_POINTS = 600  # drawn at most: a page must stay light


def against_truth(
    series: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]], *, label: str, title: str
) -> Figure:
    """Draw predictions against the truth; each of `series` is (true, predicted, sigma or None), (N,) each."""

    pooled = np.concatenate([np.concatenate([true, said]) for true, said, _ in series.values()])
    low, high = np.quantile(pooled, [0.001, 0.999])
    margin = 0.04 * (high - low or 1.0)
    shown = {name: _thinned(*three) for name, three in series.items()}
    return Figure(
        figures.scatter(
            shown,
            ends=(low - margin, high + margin),
            x_label=f"true {label}",
            y_label=f"predicted {label}",
            title=title,
        )
    )


def _thinned(
    true: np.ndarray, said: np.ndarray, sigma: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """An even choice of so many points as a page can bear."""
    keep = np.unique(np.linspace(0, len(true) - 1, min(len(true), _POINTS)).astype(int))
    return true[keep], said[keep], None if sigma is None else sigma[keep]


def distribution(series: Mapping[str, np.ndarray], label: str) -> Figure:
    """Draw the distribution of each network's predictions."""
    return Figure(figures.histogram(series, x_label=label, n_bins=24))


def pulls_figure(pulls: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the distributions of (predicted - true) / sigma, (N,) each, beside the unit Gaussian's."""
    shown = {name: np.clip(values, -5, 5) for name, values in pulls.items()}
    quantiles = (np.arange(2000) + 0.5) / 2000
    shown["unit Gaussian"] = ndtri(quantiles)
    return Figure(figures.histogram(shown, x_label="(predicted - true) / sigma", title=title, n_bins=24))


def coverage_figure(pulls: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the share of pulls (N,) within each predicted central interval against its nominal share."""
    nominal = np.linspace(0, 1, 41)[1:-1]
    reach = ndtri(0.5 + nominal / 2)
    lines = {
        name: (nominal, (np.abs(values)[:, None] <= reach).mean(axis=0)) for name, values in pulls.items()
    }
    words = {"x_label": "predicted share", "y_label": "share that lies within"}
    return Figure(figures.curves(lines, **words, diagonal=True, title=title))
