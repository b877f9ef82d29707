"""List the methods, models, surveys, readers and other things that can be named."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import Json, completes
from galshift.recipes.catalogue import KINDS, entries

EXAMPLES = ("galshift list methods", "galshift list surveys --json")


def command(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=f"One of {', '.join(KINDS)}.",
            autocompletion=completes(KINDS),
            show_default=False,
        ),
    ],
    json: Json = False,
) -> None:
    """List the methods, models, surveys, readers and other things that can be named."""
    rows = entries(kind)
    if json:
        console.json_document([{"name": name, "summary": text} for name, text in rows])
        return
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        console.result(f"{name:<{width}}  {text}".rstrip())
