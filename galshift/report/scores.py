"""Sections of an evaluation's report, from the metrics dictionaries and plain arrays.

A *row* is ``(classifier, data set, numbers)``, where numbers is a dictionary as in ``metrics.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from galshift.report import figures
from galshift.report.page import Figure, Section, Table

Row = tuple[str, str, Mapping[str, Any]]
# Of one row: what always giving the same answer is called, and its numbers by key.
Always = Callable[[Mapping[str, Any]], tuple[str, Mapping[str, float]]]


class Shown(Protocol):
    """What a table or figure needs to know of a metric; see :class:`galshift.evaluation.Metric`."""

    key: str
    name: str
    better: str
    proportion: bool
    interval: bool


def number(value: float | None, digits: int = 2) -> str | None:
    """Return a number as text, None where it is not defined; what rounds to zero has no sign."""
    return None if value is None or not np.isfinite(value) else f"{value:z.{digits}f}"


def digits(value: float | None) -> str | None:
    """Return a number of any size with three digits, None where it is not defined."""
    return None if value is None or not np.isfinite(value) else f"{value:.3g}"


def with_interval(
    numbers: Mapping[str, Any], key: str, form: Callable[[float | None], str | None] = number
) -> str | None:
    """Return ``0.81 (0.75 to 0.86)``, or the number alone where it has no interval."""
    shown = form(numbers.get(key))
    low, high = numbers.get("ci95", {}).get(key, (None, None))
    if shown is None or form(low) is None:
        return shown
    return f"{shown} ({form(low)} to {form(high)})"


def scores_table(
    rows: Sequence[Row],
    metrics: Sequence[Shown],
    always: Always,
    *,
    form: Callable[[float | None], str | None] = number,
    network: str = "classifier",
    caption: str = "",
) -> Table:
    """Return the metrics of every row, and for each data set those of always giving the same answer.

    Parameters
    ----------
    rows : sequence of Row
    metrics : sequence of Shown
        The columns.
    always : callable
    form : callable
        How a number is written.
    network : str
        What the column with the networks is called.
    caption : str
    """
    lines: list[tuple[Any, ...]] = []
    for data_set in dict.fromkeys(row[1] for row in rows):
        mine = [(name, numbers) for name, where, numbers in rows if where == data_set]
        for name, numbers in mine:
            cells = [
                with_interval(numbers, one.key, form) if one.interval else form(numbers.get(one.key))
                for one in metrics
            ]
            lines.append((data_set, name, numbers["n_groups"], *cells))
        name, floor = always(mine[0][1])
        cells = [form(floor.get(one.key)) for one in metrics]
        lines.append((data_set, name, mine[0][1]["n_groups"], *cells))
    columns = ("data set", network, "galaxies", *(one.name for one in metrics))
    return Table(columns, tuple(lines), caption)


def comparison_figure(
    rows: Sequence[Row], metric: Shown, title: str, always: Always, constant: str
) -> Figure:
    """Return one metric of every classifier on each data set, with intervals and the line of a constant.

    Parameters
    ----------
    rows : sequence of Row
    metric : Shown
    title : str
    always : callable
    constant : str
        What is always said on the short line, in words.
    """
    key = metric.key
    unknown = (np.nan, np.nan)
    bars = [
        (
            f"{name} on {where}",
            numbers[key],
            *numbers.get("ci95", {}).get(key, unknown),
            always(numbers)[1].get(key, np.nan),
        )
        for name, where, numbers in rows
    ]
    names = list(dict.fromkeys(row[0] for row in rows))
    limits = (0, 1) if metric.proportion else None
    drawn = figures.intervals(
        bars, x_label=title, colours=[names.index(row[0]) for row in rows], limits=limits
    )
    small = ", the smaller the better" if metric.better == "lower" else ""
    caption = f"{title[0].upper()}{title[1:]} with 95% intervals{small}; the short line is {constant}."
    return Figure(drawn, caption)


def confusion_section(rows: Sequence[Row], classes: Sequence[str]) -> Section:
    """Return the confusion table of every row, and per-class scores."""
    drawn = tuple(
        Figure(figures.confusion(metrics["confusion"], classes, title=f"{name} on {where}"))
        for name, where, metrics in rows
    )
    return Section(
        "Which classes are confused",
        ("Each row of a table holds the images of one true class; the diagonal is what was right.",),
        drawn,
    )


def per_class_section(
    rows: Sequence[Row], curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]
) -> Section:
    """Return completeness and purity of each class, and its precision-recall curves.

    Parameters
    ----------
    rows : sequence of Row
    curves : mapping
        For each panel title, class name to (recall, precision), (M,) each.
    """
    lines = []
    for name, where, metrics in rows:
        total = sum(row["n"] for row in metrics["per_class"].values())
        for label, row in metrics["per_class"].items():
            shares = (with_interval(row, key) for key in ("recall", "precision"))
            lines.append(
                (where, name, label, row["n"], f"{row['n'] / total:.1%}", *shares, number(row["f1"]))
            )
    columns = ("data set", "classifier", "class", "images", "share", "completeness", "purity", "F1")
    caption = (
        "Completeness (recall): the share of a class that is found. Purity (precision): the share of what is "
        "given the class that is of it. In brackets: 95% intervals."
    )
    drawn = tuple(
        Figure(
            figures.curves(
                lines_, x_label="completeness", y_label="purity", title=title, limits=(-0.02, 1.02)
            )
        )
        for title, lines_ in curves.items()
    )
    text = (
        "A rare class can be lost while accuracy stays high. The curves show what purity a threshold on a "
        "class's probability buys at which completeness; --threshold chooses one."
    )
    return Section(
        "Completeness and purity of each class", (text,), (Table(columns, tuple(lines), caption), *drawn)
    )


def roc_section(curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Section:
    """Return ROC curves: for each panel title, class name to (false, true positive rate), (M,) each."""
    drawn = tuple(
        Figure(
            figures.curves(
                lines, x_label="false positive rate", y_label="true positive rate", diagonal=True, title=title
            )
        )
        for title, lines in curves.items()
    )
    text = "One class against the rest; the dotted line is guessing, the upper left corner is perfect."
    return Section("How well probabilities rank", (text,), drawn)


def reliability_section(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]],
) -> Section:
    """Return reliability curves: for each panel title, name to (confidence, accuracy, n), (bins,) each."""
    drawn = tuple(Figure(figures.reliability(lines, title=title)) for title, lines in panels.items())
    text = (
        "Images in bins of confidence: on the dotted line, a confidence of 80 % is right 80 % of the time. "
        "Below it the classifier is too sure of itself. Larger dots hold more images."
    )
    return Section("Whether confidence can be believed", (text,), drawn)


def training_section(histories: Mapping[str, Sequence[Mapping[str, Any]]], chosen: str) -> Section | None:
    """Return the loss curves of ``metrics.jsonl`` rows by classifier; None when there are none.

    `chosen` is a sentence on how the best epochs were.
    """
    drawn: list[Figure] = []
    for name, rows in histories.items():
        if not rows:
            continue
        epochs = [row["epoch"] for row in rows]
        lines = {}
        for key in _loss_names(rows):
            shown = "validation loss" if key == "valid_loss" else key.replace("_", " ")
            lines[shown] = (epochs, [_float(row.get(key)) for row in rows])
        if lines:
            drawn.append(
                Figure(figures.curves(lines, x_label="epoch", y_label="loss", title=name, marker="."))
            )
    if not drawn:
        return None
    return Section("How training went", (f"Losses by epoch. {chosen}",), tuple(drawn))


def mix_section(mixes: Mapping[str, Mapping[str, float]], data_set: str, text: Iterable[str]) -> Section:
    """Return the share of each class in `data_set` according to each source of knowledge."""
    classes = list(next(iter(mixes.values())))
    series = {name: [_float(mix.get(c)) for c in classes] for name, mix in mixes.items()}
    table = Table(
        ("class", *series),
        tuple((c, *(number(values[i]) for values in series.values())) for i, c in enumerate(classes)),
    )
    return Section(
        f"Class mix of {data_set}",
        tuple(text),
        (Figure(figures.bars(classes, series, y_label="share")), table),
    )


def gap_section(gaps: Mapping[str, Mapping[str, Any]], between: str, text: Iterable[str] = ()) -> Section:
    """Return a table of domain gaps, by the classifier whose features they are measured in."""
    rows = tuple(
        (
            name,
            gap["n_per_domain"],
            number(gap["proxy_a_distance"]),
            f"{1 - gap['domain_classifier_error']:.0%}",
            f"{gap['mmd2']:.3g}",
            _p_value(gap["mmd2_p"], gap["n_permutations"]),
            f"{gap['frechet']:.3g} ({gap['frechet_by_chance']:.3g})",
        )
        for name, gap in gaps.items()
    )
    columns = (
        "features of", "galaxies each", "proxy A-distance", "told apart", "MMD²", "p", "Fréchet (by chance)",
    )  # fmt: skip
    caption = (
        "Proxy A-distance: 0 = cannot be told apart, 2 = told apart without error, by a cross-validated "
        "classifier (50 % is chance). p: share of random relabellings with as large an MMD². Fréchet: "
        "between Gaussians with shrunk covariances, beside the same for random halves."
    )
    return Section(f"How far apart {between} are", tuple(text), (Table(columns, rows, caption),))


def _loss_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Total, validation and named terms, in the order in which they appear; no term that is all there is."""
    names = dict.fromkeys(key for row in rows for key, value in row.items() if isinstance(value, int | float))
    skipped = {"epoch", "step", "lr", "score", "best_epoch", "gradient_norm", "seconds", "images_per_second"}
    return [
        name
        for name in names
        if name not in skipped
        and not name.startswith("pull_")
        and not name.endswith("accuracy")
        and (name == "loss" or any(row.get(name) != row.get("loss") for row in rows))
    ]


def _p_value(p: float, n_permutations: int) -> str:
    least = 1 / (n_permutations + 1)
    return f"≤ {least:.2g}" if p <= least * 1.0001 else f"{p:.2g}"


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
