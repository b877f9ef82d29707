"""The parts of a report and the page made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galshift.provenance import atomic_path, command_line, software, write_json
from galshift.report.drawing import Drawing
from galshift.timing import timed

# Beside a page: what its figures and tables show.
KEPT = "figures.json"
_LONGEST = 100  # signs of a figure's name
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Figure:
    """An inline drawing.

    Attributes
    ----------
    svg : str
        An ``<svg>`` element made by :mod:`galshift.report.figures`; the only markup that is not escaped.
    caption : str
        Says what to see in it, in a sentence.
    alt : str
        For readers who cannot see it; default: the caption.
    """

    svg: str
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text; a cell that begins with a digit, sign or dash is set as a number.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple
        Cells are shown by ``str``; None is shown as a dash.
    caption : str
    strong : tuple of int
        Rows to set in bold.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    strong: tuple[int, ...] = ()


@dataclass(frozen=True)
class Picture:
    """One image of a gallery.

    Attributes
    ----------
    uri : str
        A ``data:image/...`` URI.
    title : str
        The first line under it.
    note : str
        The second line.
    tone : str
        ``good``, ``bad`` or empty: the colour of its border.
    """

    uri: str
    title: str = ""
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures in rows."""

    pictures: tuple[Picture, ...]
    caption: str = ""
    size_px: int = 112


@dataclass(frozen=True)
class Preformatted:
    """Text set as typed, such as a command."""

    text: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One part of the page: sentences first, then what shows them.

    Attributes
    ----------
    title : str
    text : tuple of str
        Paragraphs.
    blocks : tuple of Figure, Table, Gallery or Preformatted
        Figures that follow one another stand side by side where the screen is wide.
    warnings : tuple of str
    folded : bool
        True hides the blocks until the reader opens them.
    """

    title: str
    text: tuple[str, ...] = ()
    blocks: tuple[Figure | Table | Gallery | Preformatted, ...] = ()
    warnings: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Card:
    """A headline number: what it is, its value, and a note such as its interval."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class ReportData:
    """Everything on one page.

    Attributes
    ----------
    title : str
    lede : tuple of str
        Opening sentences: the answer, in plain words.
    cards : tuple of Card
    warnings : tuple of str
        Shown before anything else; each a sentence.
    sections : tuple of Section
    command : str
        What was typed, exactly.
    provenance : mapping
        Nested names and values shown as a table at the end.
    """

    title: str
    lede: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    command: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


def about(
    title: str,
    *,
    lede: Sequence[str],
    sections: Sequence[Section],
    cards: Sequence[Card] = (),
    warnings: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> ReportData:
    """Return a page about what the running command made: with the command, and versions as its provenance.

    `facts` are further rows of the provenance, such as the run and the seed; the other parameters are as of
    :class:`ReportData`.
    """
    return ReportData(
        title=title,
        lede=tuple(lede),
        cards=tuple(cards),
        warnings=tuple(warnings),
        sections=tuple(sections),
        command=command_line(),
        provenance={**software(), **(facts or {})},
    )


@timed("pages")
def build(path: str | Path, data: ReportData) -> Path:
    """Write `data` as one HTML file at `path`, whole or not at all, and return the path.

    What its figures and tables show goes beside it (`KEPT`), for :mod:`galshift.report.paper`.
    """
    path = Path(path)
    if _keeps(data):
        write_json(path.with_name(KEPT), contents(data))
    with atomic_path(path) as temporary:
        temporary.write_text(render(data), encoding="utf-8")
    return path


def contents(data: ReportData) -> dict[str, Any]:
    """Return the figures and tables of a page as JSON values, each under a name of its own."""
    found: dict[str, Any] = {"schema": 1, "title": data.title, "figures": {}, "tables": {}}
    for section in data.sections:
        for block in section.blocks:
            told = {"section": section.title}
            if isinstance(block, Figure) and isinstance(block.svg, Drawing):
                title = block.svg.arguments.get("title") or ""
                name = _unused(found["figures"], section.title, title)
                told |= {"caption": block.caption, "kind": block.svg.kind, "shows": block.svg.arguments}
                found["figures"][name] = told
            elif isinstance(block, Table):
                name = _unused(found["tables"], section.title)
                told |= {"caption": block.caption, "columns": block.columns, "rows": block.rows}
                found["tables"][name] = told
    return found


def render(data: ReportData) -> str:
    """Return the HTML of `data`; every text in it is escaped."""
    from markupsafe import Markup

    environment = template_environment()
    environment.filters["numeric"] = _numeric
    environment.filters["cell"] = lambda value: "–" if value is None else str(value)
    environment.globals["kind"] = lambda block: type(block).__name__.lower()
    environment.globals["drawing"] = lambda figure: Markup(figure.svg)  # our own SVG: see Figure
    sections = [(_anchor(section.title, i), section) for i, section in enumerate(data.sections)]
    return environment.get_template("report.html.j2").render(
        data=data,
        sections=sections,
        provenance=_flat(data.provenance),
        kept=KEPT if _keeps(data) else None,
    )


def _keeps(data: ReportData) -> bool:
    """Whether anything on the page can be drawn again."""
    blocks = [block for section in data.sections for block in section.blocks]
    return any(isinstance(block, Table | Figure) for block in blocks)


def template_environment(*folders: Path) -> Any:
    """Return a jinja2 environment over `folders`, then the report's templates, that escapes everything."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _unused(taken: Mapping[str, Any], *parts: str) -> str:
    """Return a file name of a few words that is not in `taken`."""
    words = "-".join(word for part in parts if (word := _words(part))) or "figure"
    name, number = words[:_LONGEST], 1
    while name in taken:
        number += 1
        name = f"{words[:_LONGEST]}-{number}"
    return name


def _words(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _anchor(title: str, index: int) -> str:
    return f"s{index}-{_words(title)}"


def _numeric(value: Any) -> bool:
    return value is None or bool(re.match(r"^[\d+\-−–.<>≤≥]", str(value).strip()))


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested provenance as (dotted name, text) rows."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name}.")
        else:
            rows.append((name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)))
    return rows
