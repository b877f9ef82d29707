"""Show which steps of a recipe are done, and whether their files are as they were made."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import Json, RecipeArgument, RunsFolder, Scale, Set, show_plan, with_scale

EXAMPLES = ("galshift status quickstart", "galshift status my-study.yaml --verify")


def command(
    recipe: RecipeArgument,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Hash every output again: exit 4 if one was changed, 5 if it is not the lock's, "
            "3 if the recipe is not.",
        ),
    ] = False,
    scale: Scale = None,
    out: RunsFolder = None,
    set: Set = None,
    json: Json = False,
) -> None:
    """Show which steps of a recipe are done, and whether their files are as they were made.

    --verify also says whether they are what the recipe's lock says: bit for bit, within a tolerance, or not.
    """
    from pathlib import Path

    from galshift.recipes.find import find_recipe
    from galshift.recipes.lock import lock_path, read_lock
    from galshift.recipes.read import read_recipe
    from galshift.recipes.reproduced import compare, require_reproduced
    from galshift.recipes.run import plan_recipe, require_as_locked, require_intact, status_rows

    path, base = find_recipe(recipe)
    checked = read_recipe(path, base=base, overrides=with_scale(set, scale))
    plan = plan_recipe(checked, folder=Path(out) if out else None)
    rows, problems = status_rows(plan, check=verify)
    lock = read_lock(checked) if verify else {}
    found = compare(plan, lock) if lock else None
    show_plan(checked.name, rows, as_json=json, problems=problems, reproduced=found, scale=checked.scale)
    for line in found.sentences(str(lock_path(checked))) if found else ():
        console.say(line)
    if found is not None and found.left and found.n_files:
        console.say(f"not compared, for they are not done here as the lock has them: {', '.join(found.left)}")
    require_intact(problems)
    if found is not None:
        require_reproduced(found)
        require_as_locked(checked, plan, lock)
