"""Check a recipe without running it: every problem at once, with its line."""

from __future__ import annotations

import shlex

from galshift import console
from galshift.cli._common import Json, RecipeArgument, Set

EXAMPLES = ("galshift validate my-study.yaml", "galshift validate quickstart --json")


def command(recipe: RecipeArgument, set: Set = None, json: Json = False) -> None:
    """Check a recipe without running it: every problem at once, with its line.

    Exit code 3 when the recipe is invalid, 4 when an input file is missing.
    """
    from galshift.recipes.find import find_recipe
    from galshift.recipes.plan import make_plan
    from galshift.recipes.read import read_recipe

    path, base = find_recipe(recipe)
    checked = read_recipe(path, base=base, overrides=set or ())
    plan = make_plan(checked)
    if json:
        console.json_document({"recipe": checked.name, "valid": True, "steps": list(plan)})
        return
    console.result(f"{path}: valid, {len(plan)} step{'s' if len(plan) != 1 else ''}: {', '.join(plan)}")
    console.say(f"next: galshift run {shlex.quote(recipe)} --dry-run")
