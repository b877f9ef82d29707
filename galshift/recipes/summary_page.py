"""The table over the cells of a matrix as a page with a figure, as ECSV and as LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.provenance import atomic_path, remove_dead_parts
from galshift.recipes.scores import Row, Score, metric_of, name_of
from galshift.recipes.summary import Summary
from galshift.report import Figure, ReportData, Section, build
from galshift.report import Table as Shown
from galshift.report.figures import intervals
from galshift.report.paper import latex

FILES = ("summary.html", "summary.ecsv", "summary.tex")
_MARK = " *"


def write_summary(found: Summary, recipe: str, folder: Path) -> Path:
    """Write ``summary.html``, ``summary.ecsv`` and ``summary.tex`` into `folder`, each whole or not at all.

    Parameters
    ----------
    found : Summary
    recipe : str
        What the recipe is called.
    folder : Path
        Where its run directories stand.

    Returns
    -------
    Path
        The page.
    """
    page, ecsv, tex = (folder / name for name in FILES)
    for path in (page, ecsv, tex):
        remove_dead_parts(path)
    columns, rows = cells(found)
    with atomic_path(ecsv) as temporary:
        _machine_readable(found, recipe).write(temporary, format="ascii.ecsv")
    with atomic_path(tex) as temporary:
        temporary.write_text(latex(columns, rows, _caption(found)), encoding="utf-8")
    key = found.keys[0]
    figure = Figure(_figure(found, key), caption=f"{name_of(key)}: {_bars(found)}.")
    section = Section(
        "All cells", (_caption(found),), (Shown(tuple(columns), tuple(map(tuple, rows)), ""), figure)
    )
    text = f"What step '{found.step}' found in each cell of the matrix of the recipe '{recipe}'."
    return build(
        page, ReportData(title=f"{recipe}: all cells", lede=(text, *_winners(found)), sections=(section,))
    )


def cells(found: Summary) -> tuple[list[str], list[list[str | None]]]:
    """Return the names of the columns, and the rows, as people read them."""
    several = len({row.test_set for row in found.rows}) > 1
    networks = any(row.network for row in found.rows)
    columns = [*found.axes, *(["network"] if networks else []), *(["test set"] if several else [])]
    columns += ["seeds", *map(name_of, found.keys)]
    rows = [
        [
            *(_text(row.cell.get(axis)) for axis in found.axes),
            *([row.network] if networks else []),
            *([row.test_set] if several else []),
            str(row.n_seeds),
            *(_shown(row.scores.get(key)) for key in found.keys),
        ]
        for row in found.rows
    ]
    return columns, rows


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _shown(score: Score | None) -> str | None:
    if score is None:
        return None
    span = f" ({score.low:.3f} to {score.high:.3f})" if math.isfinite(score.low) else ""
    return f"{score.mean:.3f}{span}{_MARK if score.best else ''}"


def _caption(found: Summary) -> str:
    marked = any(score.best for row in found.rows for score in row.scores.values())
    stars = (
        "An asterisk marks what is better than every other row on the same images"
        if marked
        else "No row is better than every other one on the same images"
    )
    return (
        f"Mean of each metric; in brackets {_bars(found)}. {stars} (95 % for all comparisons together, "
        "paired by seed)."
    )


def _bars(found: Summary) -> str:
    if any(row.n_seeds > 1 for row in found.rows):
        return "95 % intervals over seeds, Student's t"
    return "95 % intervals over galaxies, of one seed"


def _winners(found: Summary) -> list[str]:
    return [
        f"Best in {name_of(key)}{f' on {row.test_set}' if row.test_set else ''}: {_label(row, found)}, "
        f"{_shown(row.scores[key]).removesuffix(_MARK)}."  # type: ignore[union-attr]
        for key in found.keys
        for row in found.rows
        if key in row.scores and row.scores[key].best
    ]


def _label(row: Row, found: Summary) -> str:
    """Return what a row is called in a figure: its cell, and its network where the cell does not say it."""
    words = [str(row.cell[axis]) for axis in found.axes if row.cell.get(axis) is not None]
    words += [row.network] if row.network and row.network not in words else []
    several = len({one.test_set for one in found.rows}) > 1
    return ", ".join([*words, *([row.test_set] if several and row.test_set not in words else [])]) or "all"


def _figure(found: Summary, key: str) -> str:
    shown = [row for row in found.rows if key in row.scores]
    points = [
        (_label(row, found), score.mean, score.low, score.high, math.nan)
        for row in shown
        for score in (row.scores[key],)
    ]
    return intervals(points, x_label=name_of(key), colours=[0 if row.adapted else 1 for row in shown])


def _machine_readable(found: Summary, recipe: str) -> Any:
    from astropy.table import MaskedColumn, Table  # heavy, and of no use to a recipe without a matrix

    table = Table()
    table.meta = {"recipe": recipe, "step": found.step, "caption": _caption(found)}
    for axis in found.axes:
        values = [row.cell.get(axis) for row in found.rows]
        table[axis] = MaskedColumn(
            ["" if value is None else str(value) for value in values],
            mask=[value is None for value in values],
        )
    table["network"] = [row.network for row in found.rows]
    table["test_set"] = [row.test_set for row in found.rows]
    table["n_seeds"] = [row.n_seeds for row in found.rows]
    for key in found.keys:
        scores = [row.scores.get(key) or Score(math.nan, math.nan, math.nan) for row in found.rows]
        table[key] = _numbers([score.mean for score in scores])
        table[f"{key}_low"] = _numbers([score.low for score in scores])
        table[f"{key}_high"] = _numbers([score.high for score in scores])
        if metric_of(key) is not None:
            table[f"{key}_best"] = [score.best for score in scores]
    return table


def _numbers(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=float)
