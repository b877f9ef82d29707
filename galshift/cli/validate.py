"""Check a recipe without running it: every problem at once, with its line."""

from __future__ import annotations

import shlex

from galshift import console
from galshift.cli._common import Json, RecipeArgument, Scale, Set, with_scale

EXAMPLES = ("galshift validate my-study.yaml", "galshift validate quickstart --json")


def command(recipe: RecipeArgument, scale: Scale = None, set: Set = None, json: Json = False) -> None:
    """Check a recipe without running it: every problem at once, with its line.

    Exit code 3 when the recipe is invalid, 4 when an input file is missing.
    """
    from galshift.recipes.find import find_recipe
    from galshift.recipes.plan import make_plan
    from galshift.recipes.read import read_recipe

    path, base = find_recipe(recipe)
    checked = read_recipe(path, base=base, overrides=with_scale(set, scale))
    plan = make_plan(checked)
    if json:
        told = {} if checked.scale is None else {"scale": checked.scale}
        console.json_document({"recipe": checked.name, "valid": True, **told, "steps": list(plan)})
        return
    at = "" if checked.scale is None else f" at {checked.scale} scale"
    steps = f"{len(plan)} step{'s' if len(plan) != 1 else ''}"
    console.result(f"{path}: valid, {steps}{at}: {', '.join(plan)}")
    said = "" if scale is None else f" --scale {scale}"
    console.say(f"next: galshift run {shlex.quote(recipe)}{said} --dry-run")
