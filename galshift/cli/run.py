"""Run a recipe: every step that is not done yet, in order."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import (
    Device,
    Jobs,
    Json,
    Profile,
    Quiet,
    RecipeArgument,
    RunsFolder,
    Scale,
    Scheduler,
    Set,
    Verbose,
    Workers,
    show_outcome,
    show_plan,
    with_scale,
)

EXAMPLES = (
    "galshift run quickstart",
    "galshift run my-study.yaml --dry-run",
    "galshift run lsst-y10-to-y1 --jobs 3",
    "galshift run deepmerge2-illustris-sdss --scale full",
)


def command(
    recipe: RecipeArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show what would run and why; run nothing.")
    ] = False,
    locked: Annotated[
        bool, typer.Option("--locked", help="Run only what its lock says, and say whether it is reproduced.")
    ] = False,
    force: Annotated[
        list[str] | None,
        typer.Option("--force", metavar="STEP", help="Run this step again, and what reads it; repeatable."),
    ] = None,
    jobs: Jobs = 1,
    scale: Scale = None,
    out: RunsFolder = None,
    device: Device = "auto",
    workers: Workers = 1,
    scheduler: Scheduler = None,
    set: Set = None,
    profile: Profile = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a recipe: every step that is not done yet, in order.

    A step whose inputs and values have not changed is skipped, one that was interrupted is resumed.  The
    exit code is 5 when a result is not what the recipe expects, or, with --locked, not what its lock says.
    With --scheduler the workers of a Dask
    cluster run the steps that do not read one another, whole, and share the pieces of a step that runs alone.

    --profile adds a table: seconds that each step spent on reading, views, network, losses, validation,
    evaluation, pages, and other.
    """
    from pathlib import Path

    from galshift.recipes.find import find_recipe
    from galshift.recipes.read import read_recipe
    from galshift.recipes.reproduced import require_reproduced
    from galshift.recipes.results import require_expectations
    from galshift.recipes.run import plan_recipe, run_recipe, status_rows
    from galshift.verbs._base import Context

    console.set_verbosity(quiet=quiet, verbose=verbose)
    path, base = find_recipe(recipe)
    checked = read_recipe(path, base=base, overrides=with_scale(set, scale))
    settings = {"folder": Path(out) if out else None, "force": force or (), "locked": locked}
    if dry_run:
        rows, _ = status_rows(plan_recipe(checked, **settings))
        show_plan(checked.name, rows, as_json=json, scale=checked.scale)
        return
    context = Context(device=device, workers=workers, scheduler=scheduler, profile=profile)
    outcome = run_recipe(checked, context=context, jobs=jobs, **settings)
    show_outcome(checked.name, outcome, as_json=json, scale=checked.scale)
    require_expectations(outcome.expectations)
    if outcome.reproduced is not None:
        require_reproduced(outcome.reproduced)
