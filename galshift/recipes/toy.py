"""A recipe at toy scale: the same steps with few galaxies and epochs, to see that each of them works."""

from __future__ import annotations

import json
from typing import Any

from galshift.recipes.prepare import InvalidConfig, check_config, merged
from galshift.recipes.read import with_seed
from galshift.recipes.references import Reference, substitute
from galshift.recipes.schema import Recipe, RecipeStep
from galshift.types import Strict
from galshift.verbs import STEPS

_GALAXIES = 60
_EPOCHS = 2
_LIMIT = 5  # images that are attacked or audited
_AXIS = 2  # values of an axis of the matrix


def toy_overrides(recipe: Recipe) -> list[str]:
    """Return what ``--set`` would say to make `recipe` small; nothing for a recipe that is.

    A step that cannot be made smaller, such as one whose schedule has its own epochs, stays as it is.
    """
    found = [
        f"matrix.{axis}={json.dumps(values[:_AXIS])}"
        for axis, values in recipe.head.matrix.items()
        if len(values) > _AXIS
    ]
    for step in recipe.steps.values():
        config = _config(recipe, step, [])
        if config is None:
            continue
        wanted = [text for text in _smaller(step, config) if _config(recipe, step, [text]) is not None]
        if _config(recipe, step, wanted) is not None:
            found += [f"steps.{step.name}.{text}" for text in wanted]
    return found


def _smaller(step: RecipeStep, config: Strict) -> list[str]:
    """Return ``key=value`` for each value of a step that costs time and is larger than a toy's."""
    found = []
    if step.uses == "simulate" and getattr(config, "n", 0) > _GALAXIES:
        found.append(f"n={_GALAXIES}")
    training: Any = getattr(config, "training", None)
    if training is not None and training.epochs > _EPOCHS:
        warm = getattr(training, "warmup_epochs", None)
        found.append(f"training.epochs={max(_EPOCHS, (warm or 0) + 1)}")
    if "limit" in type(config).model_fields and (getattr(config, "limit", None) or _LIMIT + 1) > _LIMIT:
        found.append(f"limit={_LIMIT}")
    return found


def _config(recipe: Recipe, step: RecipeStep, overrides: list[str]) -> Strict | None:
    """Return the step's config in the first cell of the matrix, or None where it is not valid so."""

    def stand_in(reference: Reference) -> Any:
        if reference.axis is not None:
            return recipe.head.matrix[reference.axis][0]
        path = f"${{{reference.name}}}"
        return [path] if reference.every else path

    kind = STEPS.get(step.uses)()
    values = with_seed(step, substitute(step.values, stand_in), recipe.head.seed)
    try:
        return check_config(kind, merged(values, overrides, defaults=kind.Config))
    except InvalidConfig:
        return None
