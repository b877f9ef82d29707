"""The README of a published recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from galshift.recipes.planned import Planned
from galshift.recipes.results import result_at
from galshift.recipes.schema import Recipe
from galshift.recipes.summary import summarise
from galshift.recipes.summary_page import cells

_HEADLINES = ("macro_f1", "accuracy", "ece", "nmad", "scatter")


def readme(
    recipe: Recipe,
    stem: str,
    plan: Mapping[str, Planned],
    cards: Sequence[Mapping[str, Any]],
    used: Mapping[str, str],
    lock: Mapping[str, Any],
) -> str:
    """Return the text of ``README.md``.

    Parameters
    ----------
    recipe : Recipe
    stem : str
        Of the recipe's file.
    plan : mapping of str to Planned
        Finished.
    cards : sequence of mapping
        Of :func:`galshift.recipes.data_cards.data_cards`.
    used : mapping of str to str
        What was built on, to its reference.
    lock : mapping
    """
    environment = lock["environment"]
    parts = [
        f"# {recipe.name}",
        recipe.head.description or "A recipe of galshift, and what it gave.",
        "## Do it again",
        _block(
            f"pip install -c {stem}.constraints.txt galshift",
            "galshift recipes verify THIS.zip         # checks every file, tries every step at toy scale",
            "galshift recipes verify THIS.zip --full  # does everything again, and compares",
        ),
        f"Made with galshift {environment.get('galshift')} and Python {environment.get('python')}, seed "
        f"{recipe.head.seed}. Nothing in this archive is a program: `{stem}.yaml` names verbs and their "
        "values.",
        "## Data",
        _data(cards),
        "## Results",
        _results(recipe, plan),
        "## What is where",
        _table(("file", "what it is"), _files(stem)),
        "## Please cite",
        "`references.bib` has an entry for each paper:",
        "\n".join(f"- {name}: {text}" for name, text in used.items()) or "- galshift",
    ]
    return "\n\n".join(parts) + "\n"


def _files(stem: str) -> list[tuple[str, str]]:
    return [
        (f"`{stem}.yaml`", "the recipe"),
        (f"`{stem}.lock.json`", "what each step was made from and gave, by content"),
        (f"`{stem}.constraints.txt`, `environment.json`", "versions, device"),
        ("`data.json`", "checksums of the data, and where to fetch them"),
        ("`results/`", "metrics, tables and pages of each step"),
        ("`figures/`", "the figures of the pages for a paper, with the numbers behind each"),
        ("`references.bib`", "papers to cite"),
        ("`manifest.json`", "the sha256 of every other file"),
    ]


def _data(cards: Sequence[Mapping[str, Any]]) -> str:
    if not cards:
        return "None from outside: every image is made by the recipe."
    rows = [
        (f"`{card['path']}`", card.get("fetch") or "from its owner", str(card.get("sha256")))
        for card in cards
    ]
    text = "Put them beside this archive, under these names, before it is verified or run in full."
    return f"{text}\n\n{_table(('path', 'from', 'sha256'), rows)}"


def _results(recipe: Recipe, plan: Mapping[str, Planned]) -> str:
    summary = summarise(recipe, plan)
    if summary is not None:
        columns, rows = cells(summary)
        shown = [["–" if cell is None else cell for cell in row] for row in rows]
        return f"Mean over seeds (95 % interval), step `{summary.step}`:\n\n{_table(columns, shown)}"
    lines = []
    for name, planned in plan.items():
        results = planned.manifest()["results"]
        for row in results.get("results") or ():
            for data, told in (row.get("domains") or {}).items() if isinstance(row, Mapping) else ():
                known = {key: result_at(told, key) for key in _HEADLINES}
                words = ", ".join(f"{key} {value:.3g}" for key, value in known.items() if value is not None)
                lines += [(name, str(row.get("name", "")), str(data), words)] if words else []
    found = _table(("step", "network", "data", "result"), lines) if lines else "See the pages in `results/`."
    expected = [
        (name, key, str(expect), f"{value:.6g}" if value is not None else "absent")
        for name, planned in plan.items()
        for key, expect in planned.expect.items()
        for value in (result_at(planned.manifest()["results"], key),)
    ]
    if expected:
        found += "\n\nExpected, and found:\n\n" + _table(("step", "key", "expected", "found"), expected)
    return found


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _block(*lines: str) -> str:
    return "\n".join(["```sh", *lines, "```"])
