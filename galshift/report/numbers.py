"""Drawings for networks that predict numbers: against the truth, and whether error bars can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtri

from galshift.report import figures
from galshift.report.page import Figure

_POINTS = 600  # drawn at most: a page must stay light


def against_truth(
    series: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]], *, label: str, title: str
) -> Figure:
    """Draw predictions against the truth; each of `series` is (true, predicted, sigma or None)."""

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        pooled = np.concatenate([np.concatenate([true, said]) for true, said, _ in series.values()])
        low, high = np.quantile(pooled, [0.001, 0.999])
        margin = 0.04 * (high - low or 1.0)
        ends = (low - margin, high + margin)
        axes.plot(ends, ends, color="#123456", alpha=0.45, linewidth=1, linestyle=":")
        for i, (name, (true, said, sigma)) in enumerate(series.items()):
            keep = np.unique(np.linspace(0, len(true) - 1, min(len(true), _POINTS)).astype(int))
            colour = figures.PALETTE[i % len(figures.PALETTE)]
            if sigma is not None:
                bars = {"fmt": "none", "ecolor": colour, "alpha": 0.25, "elinewidth": 0.7}
                axes.errorbar(true[keep], said[keep], yerr=sigma[keep], **bars)
            axes.scatter(true[keep], said[keep], s=7, color=colour, alpha=0.7, label=figures.plain(name))
        axes.set(xlim=ends, ylim=ends, aspect="equal", title=figures.plain(title))
        axes.set(xlabel=figures.plain(f"true {label}"), ylabel=figures.plain(f"predicted {label}"))
        if len(series) > 1:
            axes.legend(markerscale=2)

    return Figure(figures.svg(draw, (4.2, 4.0)))


def distribution(series: Mapping[str, np.ndarray], label: str) -> Figure:
    """Draw the distribution of each network's predictions."""
    return Figure(figures.histogram(series, x_label=label, n_bins=24))


def pulls_figure(pulls: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the distributions of (predicted - true) / sigma beside the unit Gaussian's."""
    shown = {name: np.clip(values, -5, 5) for name, values in pulls.items()}
    quantiles = (np.arange(2000) + 0.5) / 2000
    shown["unit Gaussian"] = ndtri(quantiles)
    return Figure(figures.histogram(shown, x_label="(predicted - true) / sigma", title=title, n_bins=24))


def coverage_figure(pulls: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the share of true values within each predicted central interval against its nominal share."""
    nominal = np.linspace(0, 1, 41)[1:-1]
    reach = ndtri(0.5 + nominal / 2)
    lines = {
        name: (nominal, (np.abs(values)[:, None] <= reach).mean(axis=0)) for name, values in pulls.items()
    }
    words = {"x_label": "predicted share", "y_label": "share that lies within"}
    return Figure(figures.curves(lines, **words, diagonal=True, title=title))
