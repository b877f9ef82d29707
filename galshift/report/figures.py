"""Figures as inline SVG whose text and axes take the colour of the page, so that they read in light and dark.

Every function takes plain arrays and words and returns the text of one ``<svg>`` element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from galshift.report.drawing import PALETTE, Drawing, colour, drawn, ink, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 60  # signs of a title or a legend entry


@drawn
def confusion(table: Sequence[Sequence[int]], classes: Sequence[str], *, title: str = "") -> str:
    """Draw a (K, K) confusion table, true classes in rows, shaded by the share of each row."""
    counts = np.asarray(table, dtype=float)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.imshow(share, cmap=_blues(), vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(share):
            axes.text(
                column,
                row,
                f"{counts[row, column]:.0f}\n{value:.0%}",
                ha="center",
                va="center",
                fontsize="small",
            )
        names = [_short(name) for name in classes]
        _slant(axes, names, 9)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="true", title=plain(title))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    side = 1.6 + 0.75 * len(classes)
    return svg(draw, (side + 0.6, side))


@drawn
def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    diagonal: bool = False,
    log_y: bool = False,
    marker: str = "",
    limits: tuple[float, float] | None = None,
) -> str:
    """Draw named curves (x, y); `diagonal` adds the line y = x, as for ROC and reliability."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        if diagonal:
            axes.plot([0, 1], [0, 1], color=ink(), alpha=0.45, linewidth=1, linestyle=":")
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        for i, (name, (x, y)) in enumerate(lines.items()):
            dash = "-" if i < len(PALETTE) else "--"
            axes.plot(
                x, y, dash, color=colour(i), label=plain(name), linewidth=1.6, marker=marker, markersize=4
            )
        axes.set(xlabel=x_label, ylabel=y_label, title=plain(title))
        if x_label == "epoch":  # there is none between two
            axes.xaxis.get_major_locator().set_params(integer=True)
        if log_y:
            axes.set_yscale("log")
        if limits is not None:
            axes.set_ylim(*limits)
        _legend(axes, len(lines))

    return svg(draw, (4.2, 3.9) if diagonal else (5.2, 3.2))


@drawn
def reliability(
    bins: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[int]]], *, title: str = ""
) -> str:
    """Draw accuracy against confidence; each entry is (confidence, accuracy, n) by bin, empty bins NaN."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=ink(), alpha=0.45, linewidth=1, linestyle=":")
        for i, (name, (confidence, accuracy, n)) in enumerate(bins.items()):
            n = np.asarray(n, dtype=float)
            keep = n > 0
            x, y = np.asarray(confidence, float)[keep], np.asarray(accuracy, float)[keep]
            axes.plot(x, y, color=colour(i), linewidth=1.3, label=plain(name))
            axes.scatter(x, y, s=8 + 110 * n[keep] / max(n.sum(), 1), color=colour(i), alpha=0.85)
        axes.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
            xlabel="confidence",
            ylabel="accuracy",
            title=plain(title),
        )
        _legend(axes, len(bins))

    return svg(draw, (4.2, 3.9))


@drawn
def bars(
    groups: Sequence[str], series: Mapping[str, Sequence[float]], *, y_label: str, title: str = ""
) -> str:
    """Draw bars of each series side by side over the named groups; NaN is left out."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        width = 0.8 / max(len(series), 1)
        for i, (name, values) in enumerate(series.items()):
            place = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * width
            axes.bar(
                place,
                np.nan_to_num(np.asarray(values, float)),
                width * 0.92,
                color=colour(i),
                label=_short(name),
            )
        _slant(axes, [_short(name) for name in groups], 12)
        axes.set(ylabel=y_label, title=plain(title))
        if series:
            figure.legend(loc="outside right upper")  # bars leave no corner free

    return svg(draw, (min(max(4.2, 2.8 + 0.4 * len(groups) * max(len(series), 1)), 9), 3.3))


@drawn
def intervals(
    rows: Sequence[tuple[str, float, float, float, float]],
    *,
    x_label: str,
    title: str = "",
    colours: Sequence[int] | None = None,
    limits: tuple[float, float] | None = None,
) -> str:
    """Draw (name, value, low, high, floor) as points with error bars, one a row.

    The floor is a short line across the row, such as the majority class; a NaN is left out.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, (_, value, low, high, floor) in enumerate(rows):
            shade = colour(colours[i] if colours is not None else 0)
            if np.isfinite([low, high]).all():
                axes.plot([low, high], [-i, -i], color=shade, lw=4, alpha=0.4, solid_capstyle="round")
            axes.plot([value], [-i], "o", color=shade, markersize=6)
            axes.plot([floor, floor], [-i - 0.35, -i + 0.35], color=ink(), alpha=0.7, lw=1.2)
        axes.set_yticks([-i for i in range(len(rows))], [_short(row[0], 34) for row in rows])
        axes.set(xlabel=x_label, title=plain(title), ylim=(-len(rows) + 0.4, 0.6))
        if limits is not None:
            axes.set_xlim(*limits)
        axes.spines[["left", "top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=ink(), alpha=0.15, linewidth=0.6)

    return svg(draw, (5.2, 0.9 + 0.32 * len(rows)))


@drawn
def points(
    groups: Sequence[str],
    series: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    x_label: str,
    y_label: str,
) -> str:
    """Draw (value, low, high) of each series with error bars, side by side over the named groups.

    All are at least 0; a NaN is left out.
    """

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, (name, rows) in enumerate(series.items()):
            value, low, high = np.asarray(rows, dtype=float).reshape(-1, 3).T
            place = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * 0.12
            known = np.isfinite(value)
            if known.any():
                ends = np.maximum([value - low, high - value], 0)[:, known]
                look = {"fmt": "o", "color": colour(i), "capsize": 3, "clip_on": False}
                axes.errorbar(place[known], value[known], yerr=ends, label=_short(name), **look)
        _slant(axes, [_short(name) for name in groups], 12)
        axes.set(xlabel=plain(x_label), ylabel=y_label, xlim=(-0.5, len(groups) - 0.5))
        axes.set_ylim(bottom=0)
        if axes.get_legend_handles_labels()[1]:
            figure.legend(loc="outside right upper")

    return svg(draw, (5.8, 3.3))


def histogram(
    samples: Mapping[str, Sequence[float]], *, x_label: str, title: str = "", n_bins: int = 30
) -> Drawing:
    """Draw the distributions of named samples as outlines, each of unit area; NaN left out."""
    finite = {name: np.asarray(v, float)[np.isfinite(np.asarray(v, float))] for name, v in samples.items()}
    pooled = np.concatenate([v for v in finite.values() if v.size] or [np.zeros(1)])
    low, high = np.quantile(pooled, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, n_bins + 1)
    # By hand: numpy's density is undefined when no value falls inside the edges.
    heights = {
        name: np.histogram(values, edges)[0] / (values.size * np.diff(edges))
        for name, values in finite.items()
        if values.size
    }
    return outlines(edges, heights, x_label=x_label, title=title)


@drawn
def outlines(
    edges: Sequence[float], heights: Mapping[str, Sequence[float]], *, x_label: str, title: str = ""
) -> str:
    """Draw named distributions, (B,) heights of the bins between (B + 1,) edges each."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, (name, values) in enumerate(heights.items()):
            axes.stairs(values, edges, color=colour(i), label=plain(name), lw=1.6)
        axes.set(xlabel=plain(x_label), title=plain(title), yticks=[])
        axes.spines[["left", "top", "right"]].set_visible(False)
        _legend(axes, len(heights))

    return svg(draw, (4.0, 2.6))


@drawn
def scatter(
    series: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float] | None]],
    *,
    ends: tuple[float, float],
    x_label: str,
    y_label: str,
    title: str = "",
) -> str:
    """Draw points (x, y, error bar of y or None) about the line y = x, both axes from and to `ends`."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(ends, ends, color=ink(), alpha=0.45, linewidth=1, linestyle=":")
        for i, (name, (x, y, sigma)) in enumerate(series.items()):
            if isinstance(sigma, Sequence | np.ndarray):
                bars = {"fmt": "none", "ecolor": colour(i), "alpha": 0.25, "elinewidth": 0.7}
                axes.errorbar(x, y, yerr=sigma, **bars)
            axes.scatter(x, y, s=7, color=colour(i), alpha=0.7, label=plain(name))
        axes.set(xlim=ends, ylim=ends, aspect="equal", title=plain(title))
        axes.set(xlabel=plain(x_label), ylabel=plain(y_label))
        if len(series) > 1:
            axes.legend(markerscale=2)

    return svg(draw, (4.2, 4.0))


def plain(text: object) -> str:
    """Return `text` so that matplotlib draws it as typed: no mathematics, no hidden legend entry.

    It is one line of at most `_LONGEST` signs: a longer one would leave no room for the figure.
    """
    shown = "".join(sign if sign.isprintable() or sign == "\u200b" else " " for sign in str(text))
    shown = shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
    shown = shown.replace("$", r"\$")
    return f"\u200b{shown}" if shown.startswith("_") else shown


def _short(text: object, limit: int = 22) -> str:
    """An axis label that leaves room for the axis."""
    shown = str(text)
    return plain(shown if len(shown) <= limit else shown[: limit - 1] + "…")


def _slant(axes: Axes, names: Sequence[str], limit: int) -> None:
    """Name the places of the x axis, slanted when the names are long."""
    slanted = max(map(len, names), default=0) > limit
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor",
    )


def _legend(axes: Axes, n: int) -> None:
    if n > 1 or (n == 1 and axes.get_legend_handles_labels()[1]):
        axes.legend(loc="best")


def _blues() -> Any:
    """A colour map from transparent to blue, so that the page shows through."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    red, green, blue = to_rgb(PALETTE[0])
    return LinearSegmentedColormap.from_list("page", [(red, green, blue, 0.0), (red, green, blue, 0.75)])
