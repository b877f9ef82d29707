"""List, show or copy recipes, make one from runs, publish one and verify it."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import (
    Device,
    Jobs,
    Json,
    Quiet,
    RecipeArgument,
    Scale,
    Workers,
    recipe_names,
    with_scale,
)

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
            metavar="RUN...", help="Run directories, and files that galshift wrote.", show_default=False
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


@app.command("publish")
def publish(
    recipe: RecipeArgument,
    out: Annotated[str, typer.Argument(metavar="OUT.zip", help="The archive.", show_default=False)],
    runs: Annotated[
        str | None,
        typer.Option("--runs", metavar="PATH", help="Folder of its run directories, if not its own."),
    ] = None,
    scale: Scale = None,
    json: Json = False,
) -> None:
    """Put a finished recipe into one file for others: recipe, lock, data cards, results, figures, papers."""
    from dataclasses import asdict
    from pathlib import Path

    from galshift.recipes.find import find_recipe
    from galshift.recipes.publish import publish as published
    from galshift.recipes.read import read_recipe

    path, base = find_recipe(recipe)
    checked = read_recipe(path, base=base, overrides=with_scale(None, scale))
    done = published(checked, path, Path(out), folder=Path(runs) if runs else None)
    if json:
        console.json_document({**asdict(done), "path": str(done.path)})
        return
    if done.there_already:
        console.say(f"{out} is there already; nothing to do")
    console.say(f"{done.n_steps} steps, {done.n_members} files, {done.bytes / 1e6:.3g} MB")
    console.result(out)
    console.say(f"next: galshift recipes verify {shlex.quote(out)}")


@app.command("verify")
def verify(
    archive: Annotated[
        str, typer.Argument(metavar="OUT.zip", help="A published recipe.", show_default=False)
    ],
    full: Annotated[
        bool, typer.Option("--full", help="Do everything again as it was, and compare the results.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FOLDER", help="Where its data are [default: beside the archive]."),
    ] = None,
    jobs: Jobs = 1,
    device: Device = "auto",
    workers: Workers = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check every file of a published recipe, do its steps again in a fresh folder, and say what held.

    At toy scale (few galaxies and epochs) unless --full.  The exit code is 4 when a file is not as it was
    published or data are not here, 5 when a result is another one.
    """
    from pathlib import Path

    from galshift.recipes.verify import require_verified, verify_archive
    from galshift.verbs._base import Context

    console.set_verbosity(quiet=quiet)
    context = Context(device=device, workers=workers)
    found = verify_archive(
        Path(archive), full=full, data=Path(data) if data else None, context=context, jobs=jobs
    )
    if json:
        console.json_document(found.document())
    else:
        console.result("\n".join(found.sentences()))
    require_verified(found)
