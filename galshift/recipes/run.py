"""Run a recipe step by step, lock what was done, and check what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from galshift import console
from galshift.errors import ConfigError, DataError, GalshiftError
from galshift.recipes.cards import write_cards
from galshift.recipes.cells import run_cells, spreads, waves
from galshift.recipes.execute import Executed, perform
from galshift.recipes.lock import lock_path, mismatches, read_lock, verify, write_lock
from galshift.recipes.plan import make_plan, plan_step, runs_folder
from galshift.recipes.planned import Planned
from galshift.recipes.reproduced import Reproduced, compare
from galshift.recipes.results import check_expectations
from galshift.recipes.schema import Recipe
from galshift.recipes.summary import summarise
from galshift.recipes.summary_page import write_summary
from galshift.spread import Engine
from galshift.verbs._base import Context


@dataclass
class Outcome:
    """What running a recipe gave.

    Attributes
    ----------
    plan : dict of str to Planned
    executed : dict of str to Executed
    expectations : list of dict
        One row for each ``expect``: step, key, expected, found, met.
    lock : Path or None
    reproduced : Reproduced or None
        How what was made compares with the lock that it was held to.
    summary : Path or None
        The page over all cells of the matrix.
    """

    plan: dict[str, Planned]
    executed: dict[str, Executed] = field(default_factory=dict)
    expectations: list[dict[str, Any]] = field(default_factory=list)
    lock: Path | None = None
    reproduced: Reproduced | None = None
    summary: Path | None = None

    def reports(self) -> list[str]:
        """Return the paths of every page for people (outputs that end in ``.html``), in running order."""
        return [
            str(self.plan[name].directory / file)
            for name, done in self.executed.items()
            for file in (done.results.get("outputs") or {}).values()
            if str(file).endswith(".html")
        ]


def plan_recipe(
    recipe: Recipe, *, folder: Path | None = None, force: Sequence[str] = (), locked: bool = False
) -> dict[str, Planned]:
    """Return the plan of `recipe`; with `locked`, only if it is what the lock says.

    Raises
    ------
    ConfigError
        When the recipe is invalid, or `locked` and anything would differ from the lock.
    """
    lock = read_lock(recipe)
    if locked and not lock:
        raise ConfigError(
            "there is no lock to hold to", where=lock_path(recipe), hint="run once without --locked"
        )
    plan = make_plan(recipe, folder=folder, force=force, lock=lock)
    if locked:
        require_as_locked(recipe, plan, lock)
    return plan


def require_as_locked(recipe: Recipe, plan: Mapping[str, Planned], lock: Mapping[str, Any]) -> None:
    """Raise ConfigError naming every step of `plan` that would make something else than `lock` has."""
    if lines := mismatches(plan, lock):
        raise ConfigError(
            "the recipe is not what its lock says",
            where=lock_path(recipe),
            hint="nothing was run",
            problems=lines,
        )


def run_recipe(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    force: Sequence[str] = (),
    locked: bool = False,
    context: Context | None = None,
    jobs: int = 1,
    with_lock: bool = True,
) -> Outcome:
    """Run every step of `recipe` that is not done, in order.

    Parameters
    ----------
    recipe : Recipe
    folder : Path, optional
        Where the run directories stand; default ``runs/<recipe>`` beside the recipe.
    force : sequence of str
        Steps to run again, and what depends on them.
    locked : bool
        Refuse to run anything that is not as the lock has it; the lock is then left as it is.
    context : Context, optional
        Device, workers and scheduler.
    jobs : int
        Steps at a time, where they do not read one another; with a scheduler its workers run them.
    with_lock : bool
        Read the lock and write it; False where somebody else's recipe is only tried.

    Raises
    ------
    GalshiftError
        The first failure of a step; finished steps stay and are skipped next time.
    """
    plan = (
        plan_recipe(recipe, folder=folder, force=force, locked=locked)
        if with_lock
        else make_plan(recipe, folder=folder, force=force)
    )
    _require_writable(plan)
    outcome = Outcome(plan)
    write_cards(recipe, runs_folder(recipe) if folder is None else folder)
    context = replace(context or Context(), scale=recipe.scale)
    engine = Engine(jobs, context.scheduler)
    groups = [[name] for name in plan] if engine.alone else waves(plan)
    for names in groups:
        running = []
        for name in names:
            plan[name] = _at_last(recipe, plan, name)
            number = list(plan).index(name) + 1
            console.say(f"[{number}/{len(plan)}] {name}: {plan[name].action} ({plan[name].reason})")
            running.append(plan[name])
        try:
            for planned, done in _run_steps(running, context, engine):
                outcome.executed[planned.name] = done
        except GalshiftError:
            left = [f"'{name}'" for name in names if name not in outcome.executed]
            stopped = f"step {left[0]}" if len(left) == 1 else f"one of the steps {', '.join(left)}"
            console.say(f"{stopped} stopped; the steps before it are done and will be skipped")
            if with_lock and not locked:
                write_lock(recipe, plan)
            raise
    outcome.executed = {name: outcome.executed[name] for name in plan}
    for name, planned in plan.items():
        outcome.expectations += check_expectations(planned, outcome.executed[name].results)
    if (found := summarise(recipe, plan)) is not None:
        outcome.summary = write_summary(found, recipe.name, runs_folder(recipe) if folder is None else folder)
    if with_lock:
        outcome.lock = lock_path(recipe) if locked else write_lock(recipe, plan)
    if locked:
        outcome.reproduced = compare(plan, read_lock(recipe))
    return outcome


def status_rows(
    plan: Mapping[str, Planned], *, check: bool = False
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one row for each step, and with `check` what is not as recorded after hashing every output."""
    rows, problems = [], []
    for planned in plan.values():
        found = verify(planned) if check and planned.done else []
        problems += found
        state = "changed" if found else {"skip": "done"}.get(planned.action, planned.reason)
        rows.append(
            {
                "step": planned.name,
                "uses": planned.step.uses,
                "state": state,
                "action": planned.action,
                "reason": planned.reason,
                "inputs": list(dict.fromkeys([*planned.needs, *planned.prepared.inputs.files.values()])),
                "reads": planned.reads(),
                "directory": str(planned.directory),
                "fingerprint": planned.prepared.fingerprint,
            }
        )
    return rows, problems


def require_intact(problems: Sequence[str]) -> None:
    """Raise DataError naming everything that :func:`status_rows` found changed."""
    if problems:
        raise DataError("; ".join(problems), hint="run again with --force STEP to make it anew")


def _at_last(recipe: Recipe, plan: dict[str, Planned], name: str) -> Planned:
    """Resolve a step once more when what it reads is there, so that roles become the real files."""
    first = plan[name]
    where = first.directory.parent
    fresh = plan_step(recipe, first.step, first.cell, plan, where)
    if fresh.prepared.fingerprint != first.prepared.fingerprint:
        raise DataError("its inputs changed while the recipe was running", where=name, hint="run again")
    fresh.action, fresh.reason = first.action, first.reason
    return fresh


def _require_writable(plan: Mapping[str, Planned]) -> None:
    """Raise, before hours of training, for a product in a format that nothing installed here writes."""
    for planned in plan.values():
        if planned.product and not planned.done:
            step, config = planned.prepared.step, planned.prepared.config
            step.products(config, planned.directory / planned.product)


def _run_steps(
    steps: Sequence[Planned], context: Context, engine: Engine
) -> Iterator[tuple[Planned, Executed]]:
    """Run steps that do not read one another: here, or where there are several to do, at the same time."""
    forced = [planned for planned in steps if planned.reason.startswith("forced") and planned.done]
    for planned in forced:
        _move_aside(planned.directory)
    todo = [planned for planned in steps if not planned.done]
    alone = len(todo) == 1 and (engine.scheduler is None or spreads(todo[0], engine))
    here = engine.alone or alone
    for planned in steps:
        if here or planned.done:
            yield planned, _run_step(planned, context)
    if todo and not here:
        yield from run_cells(todo, context, engine)


def _run_step(planned: Planned, context: Context) -> Executed:
    context = replace(context, upstream=planned.prepared.inputs.upstream)
    return perform(
        planned.prepared, planned.directory, overwrite=False, context=context, product=planned.product
    )


def _move_aside(directory: Path) -> None:
    number = 1
    while (aside := directory.with_name(f"{directory.name}.old-{number}")).exists():
        number += 1
    directory.rename(aside)
