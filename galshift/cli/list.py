"""List the methods, models, surveys, readers, selectors, weightings, faults or metrics that can be named."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import Json

EXAMPLES = ("galshift list methods", "galshift list surveys --json")


def _kinds(incomplete: str) -> list[str]:
    from galshift.recipes.catalogue import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


def command(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="methods|models|surveys|readers|selectors|weightings|faults|metrics",
            help="What to list.",
            autocompletion=_kinds,
            show_default=False,
        ),
    ],
    json: Json = False,
) -> None:
    """List the methods, models, surveys, readers, selectors, weightings, faults or metrics by name."""
    from galshift.recipes.catalogue import entries

    rows = entries(kind)
    if json:
        console.json_document([{"name": name, "summary": text} for name, text in rows])
        return
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        console.result(f"{name:<{width}}  {text}".rstrip())
