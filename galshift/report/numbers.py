"""Sections of the report of a network that predicts numbers: continuous labels, or vote fractions.

A *row* is ``(network, data set, numbers)``, where numbers is a dictionary of one label in ``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galshift.report import figures
from galshift.report.page import Figure, Section, Table

Row = tuple[str, str, Mapping[str, Any]]

_VALUES = (
    ("rmse", "RMSE"), ("nmad", "NMAD"), ("bias", "bias"), ("r2", "R²"), ("outlier_fraction", "outliers"),
)  # fmt: skip
_SPREADS = (("coverage68", "within 1 σ"), ("coverage95", "within 95%"), ("nll", "NLL"))
_VOTES = (("nll", "NLL"), ("mad", "mean |error|"), ("rmse", "RMSE"), ("accuracy", "winner right"))
_ALONE = ("r2", "outlier_fraction")  # without their intervals a table fits on a page
_POINTS = 600  # drawn at most: a page must stay light


def digits(value: float | None) -> str | None:
    """Return a number of any size with three digits, None where it is not defined."""
    return None if value is None or not np.isfinite(value) else f"{value:.3g}"


def numbers_table(rows: Sequence[Row], kind: str) -> Table:
    """Return the errors of every row, and those of always saying the training mean."""
    caption = "In brackets: 95% intervals from resampling galaxies. "
    if kind == "votes":
        caption += (
            "NLL: of the counts, Dirichlet-multinomial. Errors are of vote fractions, mean over classes."
        )
        return _table(rows, _VOTES, caption)
    threshold = digits(rows[0][2]["outlier_threshold"])
    caption += (
        f"NMAD: 1.48 median absolute deviation of the errors. Outliers: off by more than {threshold}, the "
        "standard deviation of the training labels."
    )
    return _table(rows, _VALUES, caption)


def _table(rows: Sequence[Row], shown: Sequence[tuple[str, str]], caption: str) -> Table:
    """One line a row, and one of the training mean for each data set."""
    lines: list[tuple[Any, ...]] = []
    for data_set in dict.fromkeys(row[1] for row in rows):
        mine = [(name, found) for name, where, found in rows if where == data_set]
        lines += [
            (data_set, name, found["n_groups"], *(_cell(found, key) for key, _ in shown))
            for name, found in mine
        ]
        always = mine[0][1]
        cells = (digits(always["training_mean"][key]) for key, _ in shown)
        lines.append((data_set, "training mean", always["n_groups"], *cells))
    return Table(("data set", "network", "galaxies", *(label for _, label in shown)), tuple(lines), caption)


def comparison(rows: Sequence[Row], key: str, title: str) -> Figure:
    """Return one number of every network on each data set, with intervals and the training-mean line."""
    names = list(dict.fromkeys(row[0] for row in rows))
    bars = [
        (f"{n} on {s}", m[key], *m.get("ci95", {}).get(key, (np.nan, np.nan)), m["training_mean"][key])
        for n, s, m in rows
    ]
    drawn = figures.intervals(bars, x_label=title, colours=[names.index(row[0]) for row in rows])
    caption = f"{title[0].upper()}{title[1:]} with 95% intervals, the smaller the better; the short line is "
    caption += "always saying the training mean."
    return Figure(drawn, caption)


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
    from scipy.special import ndtri

    shown["unit Gaussian"] = ndtri(quantiles)
    return Figure(figures.histogram(shown, x_label="(predicted - true) / sigma", title=title, n_bins=24))


def coverage_figure(pulls: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the share of true values within each predicted central interval against its nominal share."""
    from scipy.special import ndtri

    nominal = np.linspace(0, 1, 41)[1:-1]
    reach = ndtri(0.5 + nominal / 2)
    lines = {
        name: (nominal, (np.abs(values)[:, None] <= reach).mean(axis=0)) for name, values in pulls.items()
    }
    words = {"x_label": "predicted share", "y_label": "share that lies within"}
    return Figure(figures.curves(lines, **words, diagonal=True, title=title))


def error_bars_section(
    panels: Mapping[str, Mapping[str, np.ndarray]], rows: Mapping[str, Sequence[Row]]
) -> Section:
    """Return how far error bars can be believed.

    Parameters
    ----------
    panels : mapping
        Title to network to pulls (N,).
    rows : mapping
        Label to its rows.
    """
    drawn = [
        make(pulls, title) for title, pulls in panels.items() for make in (pulls_figure, coverage_figure)
    ]
    text = (
        "Left: errors in units of the predicted error bar; honest error bars give the Gaussian of width one. "
        "Right: how many true values lie within the predicted central interval; on the dotted line 68% do "
        "for the 68% interval. Below it the error bars are too short."
    )
    tables = [_table(mine, _SPREADS, f"Of {label}. NLL: Gaussian, in nats.") for label, mine in rows.items()]
    return Section("Whether the error bars can be believed", (text,), (*drawn, *tables))


def _cell(found: Mapping[str, Any], key: str) -> str | None:
    """``0.081 (0.075 to 0.086)``, or the number alone where it has no interval, or the table no room."""
    shown = digits(found.get(key))
    if key in _ALONE:
        return shown
    low, high = found.get("ci95", {}).get(key, (None, None))
    if shown is None or digits(low) is None:
        return shown
    return f"{shown} ({digits(low)} to {digits(high)})"
