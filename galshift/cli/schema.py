"""Print the JSON schema of recipes, for completion and checks in an editor."""

from __future__ import annotations

from galshift import console

EXAMPLES = ("galshift schema > recipe.schema.json", "galshift schema | head")


def command() -> None:
    """Print the JSON schema of recipes, for completion and checks in an editor.

    Put "# yaml-language-server: $schema=./recipe.schema.json" on the first line of a recipe.
    """
    from galshift.recipes.json_schema import recipe_schema

    console.json_document(recipe_schema())
