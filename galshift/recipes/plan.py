"""What running a recipe would do: every step with its directory, run, resume or skip, and the reason."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galshift.data.card import Resolved
from galshift.data.paths import is_there, split_pair
from galshift.errors import ConfigError, DataError
from galshift.recipes.cards import absent_files, cards_of, data_paths
from galshift.recipes.changes import changes
from galshift.recipes.inputs import entries, lookup, map_paths
from galshift.recipes.planned import Cell, Planned, instance_name, located
from galshift.recipes.prepare import prepare
from galshift.recipes.read import with_seed
from galshift.recipes.references import Reference, parse, substitute
from galshift.recipes.schema import DATA, FULL, Recipe, RecipeStep
from galshift.verbs import STEPS


def make_plan(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    force: Sequence[str] = (),
    lock: Mapping[str, Any] | None = None,
) -> dict[str, Planned]:
    """Plan every step of `recipe`, in running order.

    Parameters
    ----------
    recipe : Recipe
    folder : Path, optional
        Where the run directories stand; default ``runs/<recipe>`` beside the recipe.
    force : sequence of str
        Steps to run again although they are done, and what depends on them.
    lock : mapping, optional
        The lock of an earlier run; gives the reasons.

    Raises
    ------
    ConfigError
        When `force` names no step.
    DataError
        When inputs are missing, naming all of them.
    """
    folder = runs_folder(recipe) if folder is None else folder
    unknown = [name for name in force if name not in recipe.steps]
    if unknown:
        raise ConfigError(
            f"--force {unknown[0]}: there is no such step", hint=f"known: {', '.join(recipe.steps)}"
        )
    _require_files(recipe)
    plan: dict[str, Planned] = {}
    for step in recipe.steps.values():
        for cell in _cells(recipe, step, plan):
            planned = plan_step(recipe, step, cell, plan, folder)
            _decide(planned, plan, force, (lock or {}).get("steps", {}))
            plan[planned.name] = planned
    return plan


def runs_folder(recipe: Recipe) -> Path:
    """Return where the run directories of `recipe` stand unless one says otherwise, by scale."""
    return recipe.base / "runs" / (recipe.name + f"-{FULL}" * (recipe.scale == FULL))


def plan_step(
    recipe: Recipe, step: RecipeStep, cell: Cell, plan: Mapping[str, Planned], folder: Path
) -> Planned:
    """Resolve one step against the steps planned (or finished) so far."""
    cards = cards_of(recipe, folder)
    data = data_paths(recipe, cards)
    known: dict[str, str | Resolved] = {str(card.card): card for card in cards.values()}
    needs: list[str] = []
    named: dict[str, str] = {}

    def replace(reference: Reference) -> Any:
        if reference.axis is not None:
            return cell[reference.axis]
        if recipe.is_data(reference):
            path = data[str(reference.role)]
            named[path] = f"{DATA}.{reference.role}"
            return path if reference.label is None else f"{reference.label}={path}"
        chosen = [
            other for other in plan.values() if other.step.name == reference.name and _agree(other, cell)
        ]
        paths = []
        for other in chosen:
            path = located(other, reference.role)
            needs.append(other.name)
            role = f"/{reference.role}" if reference.role else ""
            known[path] = f"{other.prepared.fingerprint}{role}"
            paths.append(path if reference.label is None else f"{_label(reference, other)}={path}")
        return paths if reference.every else paths[0]

    values = with_seed(step, _rebased(recipe, step), recipe.head.seed)
    values = substitute(values, replace)
    prepared = prepare(step.uses, values, known=known)
    directory = folder / f"{step.name}-{prepared.fingerprint[:8]}"
    return Planned(
        name=instance_name(step.name, cell),
        step=step,
        cell=cell,
        values=values,
        prepared=prepared,
        directory=directory,
        needs=tuple(dict.fromkeys(needs)),
        data=named,
        expect=step.expect,
    )


def _require_files(recipe: Recipe) -> None:
    """Raise DataError naming every file that the recipe reads and that is not there."""
    missing = list(absent_files(recipe))
    for step in recipe.steps.values():
        values = _rebased(recipe, step)
        for name in STEPS.get(step.uses).inputs:
            for _, text in entries(name, lookup(values, name)) if not name.endswith("?") else ():
                absent = [part for part in split_pair(text) if parse(part) is None and not is_there(part)]
                place = ("steps", step.name, *name.split("."))
                missing += [recipe.problem(place, f"there is no file or folder {part}") for part in absent]
    if missing:
        raise DataError("; ".join(missing), hint="paths start from the recipe's own folder")


def _rebased(recipe: Recipe, step: RecipeStep) -> dict[str, Any]:
    """Return the step's values with relative paths starting from the recipe's folder."""

    def rebase(text: str) -> str:
        if parse(text) is not None or os.path.isabs(text) or recipe.base == Path():
            return text
        # A trailing slash is kept: "sdss/" says that a folder is meant.
        return os.path.join(recipe.base, text)

    return map_paths(step.values, STEPS.get(step.uses).inputs, rebase)


def _cells(recipe: Recipe, step: RecipeStep, plan: Mapping[str, Planned]) -> list[Cell]:
    """Return the matrix cells that `step` is repeated for: its own axes and those of what it refers to."""
    axes = set()
    for _, reference in step.references():
        if reference.axis is not None:
            axes.add(reference.axis)
        elif not reference.every:
            axes |= {
                axis for other in plan.values() if other.step.name == reference.name for axis in other.cell
            }
    used = [axis for axis in recipe.head.matrix if axis in axes]
    return [dict(zip(used, values)) for values in itertools.product(*(recipe.head.matrix[a] for a in used))]


def _agree(other: Planned, cell: Cell) -> bool:
    return all(other.cell[axis] == value for axis, value in cell.items() if axis in other.cell)


def _label(reference: Reference, other: Planned) -> str:
    cell = ",".join(str(value) for value in other.cell.values())
    return f"{reference.label}-{cell}" if reference.every and cell else str(reference.label)


def _decide(
    planned: Planned, plan: Mapping[str, Planned], force: Sequence[str], locked: Mapping[str, Any]
) -> None:
    """Fill in what will be done with a planned step, and why."""
    forced_above = [name for name in planned.needs if plan[name].reason.startswith("forced")]
    if planned.step.name in force:
        planned.reason = "forced"
    elif forced_above and planned.done:
        planned.reason = f"forced, for it reads {forced_above[0]}"
    elif planned.done:
        planned.action, planned.reason = "skip", "up to date"
    elif (planned.directory / "run.json").is_file():
        planned.action = "resume" if planned.prepared.step.resumable else "run"
        planned.reason = "was interrupted"
    elif planned.name in locked:
        planned.reason = "; ".join(changes(planned, locked[planned.name], plan)) or "its result is not here"
