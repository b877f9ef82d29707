"""The figures and tables of a page for a paper: files that LaTeX includes, and the numbers behind each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galshift.errors import DataError
from galshift.provenance import read_record
from galshift.report import figures
from galshift.report.drawing import KINDS, Paper, on_paper
from galshift.report.page import KEPT

# Of a column and of a page, as A&A, ApJ and MNRAS set them within a few millimetres [inch].
WIDTHS = {"column": 88 / 25.4, "page": 180 / 25.4}
CONTENTS = "contents.ecsv"
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "–": "--",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": "$-$",
    "²": "$^2$",
    "<": "$<$",
    ">": "$>$",
}


def read(run: Path) -> dict[str, Any]:
    """Return what a run's page shows.

    Raises
    ------
    DataError
        When the run has no page, one from before figures were kept, or a file that is none of ours.
    """
    if run.is_file():
        hint = "give one with a report.html"
        raise DataError("this is a file, not the folder of a run", where=run, hint=hint)
    found = read_record(run / KEPT, "this is not a file of figures that galshift wrote", _checked)
    if found is None:
        raise DataError(
            "this run keeps no figures: it has no page, or one from before figures were kept",
            where=run,
            hint="repeat the command that made it with another --out",
        )
    return found


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    for one in found["figures"].values():
        if one["kind"] not in KINDS or not isinstance(one["shows"], dict):
            raise ValueError("a figure of a kind that is not known")
    if not all(isinstance(one["rows"], list) for one in found["tables"].values()):
        raise ValueError("a table without rows")
    names = [*found["figures"], *found["tables"]]
    if any(Path(name).name != name or name.startswith(".") for name in names):
        raise ValueError("a name that is no file name")
    return found


def write(
    found: Mapping[str, Any], folder: Path, *, form: str, width: str, style: str | None = None
) -> list[str]:
    """Draw every figure of :func:`read` into `folder`, with its data as ECSV, and every table as LaTeX.

    Parameters
    ----------
    found : mapping
    folder : Path
        Is there, and empty.
    form : {"pdf", "svg", "png"}
    width : {"column", "page"}
    style : str, optional
        A matplotlib style on top of the user's own.

    Returns
    -------
    list of str
        The names of the files.

    Raises
    ------
    DataError
        When what is kept of a figure cannot be drawn.
    """
    written, rows = [], []
    for name, one in found["figures"].items():
        paper = Paper(folder / f"{name}.{form}", WIDTHS[width], style)
        try:
            on_paper(one["kind"], one["shows"], paper)
            behind(one["kind"], one["shows"]).write(folder / f"{name}.ecsv", format="ascii.ecsv")
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise DataError(f"the figure '{name}' cannot be drawn from what is kept of it") from error
        written += [f"{name}.{form}", f"{name}.ecsv"]
        rows.append((f"{name}.{form}", one["section"], one["caption"]))
    for name, one in found["tables"].items():
        file = f"table-{name}.tex"
        (folder / file).write_text(latex(one["columns"], one["rows"], one["caption"]), encoding="utf-8")
        written.append(file)
        rows.append((file, one["section"], one["caption"]))
    listed = Table(rows=rows or None, names=("file", "section", "caption"), dtype=("str", "str", "str"))
    listed.write(folder / CONTENTS, format="ascii.ecsv")
    return [*written, CONTENTS]


def behind(kind: str, shows: Mapping[str, Any]) -> Table:
    """Return the numbers behind a figure, one row a point, with its labels as metadata."""
    columns, rows = _POINTS[kind](shows)
    texts = [name for name in columns if name in _TEXTS]
    table = Table(
        [
            np.asarray([row[i] for row in rows], dtype=str if name in texts else float)
            for i, name in enumerate(columns)
        ],
        names=columns,
    )
    words = ("title", "x_label", "y_label")
    table.meta = {name: shows[name] for name in words if shows.get(name)}
    return table


def latex(columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> str:
    """Return a LaTeX table: words to the left, numbers to the right, everything escaped."""
    cells = [["--" if cell is None else escaped(str(cell)) for cell in row] for row in rows]
    numbers = [
        all(row[i] is None or str(row[i])[:1].isdigit() or str(row[i])[:1] in "+-−–.<>≤≥" for row in rows)
        for i in range(len(columns))
    ]
    lines = [
        r"\begin{table}",
        *([rf"\caption{{{escaped(caption)}}}"] if caption else []),
        rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numbers)}}}",
        r"\hline",
        " & ".join(escaped(name) for name in columns) + r" \\",
        r"\hline",
        *(" & ".join(row) + r" \\" for row in cells),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return `text` so that LaTeX sets it as typed, on one line."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]
_TEXTS = ("line", "true", "predicted", "group", "name")


def _confusion(shows: Mapping[str, Any]) -> Rows:
    classes = shows["classes"]
    rows = [(classes[i], classes[j], n) for i, line in enumerate(shows["table"]) for j, n in enumerate(line)]
    return ("true", "predicted", "n"), rows


def _lines(*names: str, of: str) -> Any:
    """The points of named lines, with `names` for what each line holds."""

    def points(shows: Mapping[str, Any]) -> Rows:
        rows = []
        for line, parts in shows[of].items():
            n = len(parts[0])
            filled = [part if isinstance(part, list) else [np.nan] * n for part in parts]
            rows += [(line, *values) for values in zip(*filled, strict=True)]
        return ("line", *names), rows

    return points


def _bars(shows: Mapping[str, Any]) -> Rows:
    rows = [
        (group, line, value)
        for line, values in shows["series"].items()
        for group, value in zip(shows["groups"], values, strict=True)
    ]
    return ("group", "line", "value"), rows


def _points(shows: Mapping[str, Any]) -> Rows:
    rows = [
        (group, line, *values)
        for line, points in shows["series"].items()
        for group, values in zip(shows["groups"], points, strict=True)
    ]
    return ("group", "line", "value", "low", "high"), rows


def _intervals(shows: Mapping[str, Any]) -> Rows:
    return ("name", "value", "low", "high", "floor"), [tuple(row) for row in shows["rows"]]


def _outlines(shows: Mapping[str, Any]) -> Rows:
    edges = shows["edges"]
    rows = [
        (line, edges[i], edges[i + 1], height)
        for line, heights in shows["heights"].items()
        for i, height in enumerate(heights)
    ]
    return ("line", "from", "to", "density"), rows


_POINTS = {
    figures.confusion.__name__: _confusion,
    figures.curves.__name__: _lines("x", "y", of="lines"),
    figures.reliability.__name__: _lines("confidence", "accuracy", "n", of="bins"),
    figures.bars.__name__: _bars,
    figures.intervals.__name__: _intervals,
    figures.outlines.__name__: _outlines,
    figures.points.__name__: _points,
    figures.scatter.__name__: _lines("x", "y", "y_sigma", of="series"),
}
