"""Show which steps of a recipe are done, and whether their files are as they were made."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift.cli._common import Json, RecipeArgument, RunsFolder, Set, show_plan

EXAMPLES = ("galshift status quickstart", "galshift status my-study.yaml --verify")


def command(
    recipe: RecipeArgument,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every output again; exit 4 if one was changed.")
    ] = False,
    out: RunsFolder = None,
    set: Set = None,
    json: Json = False,
) -> None:
    """Show which steps of a recipe are done, and whether their files are as they were made."""
    from pathlib import Path

    from galshift.recipes.find import find_recipe
    from galshift.recipes.read import read_recipe
    from galshift.recipes.run import plan_recipe, require_intact, status_rows

    path, base = find_recipe(recipe)
    checked = read_recipe(path, base=base, overrides=set or ())
    rows, problems = status_rows(plan_recipe(checked, folder=Path(out) if out else None), check=verify)
    show_plan(checked.name, rows, as_json=json, problems=problems)
    require_intact(problems)
