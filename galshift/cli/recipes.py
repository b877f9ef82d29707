"""List, show or copy recipes, make one from runs, publish one and verify it."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import Json, recipe_names

EXAMPLES = (
    "galshift recipes cp quickstart my-study.yaml",
    "galshift recipes from mocks.h5 runs/adapt-1a2b3c4d --out my-study.yaml",
    "galshift recipes publish my-study.yaml my-study.zip",
    "galshift recipes verify my-study.zip",
)

app = typer.Typer(no_args_is_help=True)
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name of a shipped recipe.", autocompletion=recipe_names, show_default=False
    ),
]


@app.command("ls")
def ls(json: Json = False) -> None:
    """List the recipes that galshift ships."""
    from galshift.recipes.find import shipped, summary

    rows = [{"name": name, "summary": summary(path), "path": str(path)} for name, path in shipped().items()]
    if json:
        console.json_document(rows)
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        console.result(f"{row['name']:<{width}}  {row['summary']}".rstrip())


@app.command("cat")
def cat(name: Name) -> None:
    """Print a recipe."""
    from galshift.recipes.find import shipped_recipe

    console.result(shipped_recipe(name).read_text(encoding="utf-8").rstrip("\n"))


@app.command("cp")
def cp(
    name: Name,
    destination: Annotated[str, typer.Argument(metavar="DEST", help="File or folder to copy to.")] = ".",
) -> None:
    """Copy a recipe, to change it."""
    from galshift.recipes.find import copy_recipe

    path = copy_recipe(name, destination)
    console.result(str(path))
    console.say(f"next: galshift run {shlex.quote(str(path))}")


@app.command("from")
def from_runs(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Run directories, and files that galshift made.", show_default=False
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="The recipe's file; printed where none is given."),
    ] = None,
) -> None:
    """Write the recipe that makes some runs: one step each, with what differs from the defaults."""
    from pathlib import Path

    from galshift.recipes.from_runs import write_recipe

    written = write_recipe(runs, Path(out) if out else None)
    for line in written.notes:
        console.say(f"note: {line}")
    console.result(out or written.text.rstrip("\n"))
    if out:
        console.say(f"next: galshift run {shlex.quote(out)} --dry-run")
