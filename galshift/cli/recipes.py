"""List, show or copy the recipes that galshift ships."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import Json, recipe_names

EXAMPLES = ("galshift recipes ls", "galshift recipes cp quickstart my-study.yaml")

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
