"""What every verb on the command line shares: the common options, and how results are shown."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from galshift import console
from galshift.timing import rows_of

_COMMON = "Common options"

Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="PATH",
        help="Run directory [default: runs/<verb>-<fingerprint>].",
        rich_help_panel=_COMMON,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random stream.", rich_help_panel=_COMMON)]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="auto|cpu|cuda|cuda:N", help="Where to compute.", rich_help_panel=_COMMON
    ),
]
Workers = Annotated[
    int,
    typer.Option("--workers", min=1, help="Processes; results do not depend on it.", rich_help_panel=_COMMON),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask cluster to work on: address or scheduler file.",
        rich_help_panel=_COMMON,
    ),
]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=1, help="Steps at a time, where they do not read one another.")
]
# For the verbs that say in one sentence how they use several processes instead.
NoScheduler = Annotated[str | None, typer.Option("--scheduler", hidden=True)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY.PATH=VALUE", help="Set any config value; repeatable.", rich_help_panel=_COMMON
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Move aside what stands at the output.", rich_help_panel=_COMMON),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout.", rich_help_panel=_COMMON)
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but results.", rich_help_panel=_COMMON)
]
Profile = Annotated[
    bool,
    typer.Option(
        "--profile", help="Say where the seconds went, here and in the manifest.", rich_help_panel=_COMMON
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=_COMMON)]


def completes(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes an argument that is one of `names`."""

    def begun(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return begun


def recipe_names(incomplete: str) -> list[str]:
    """Complete the names of shipped recipes; the shell adds files."""
    from galshift.recipes.find import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe file, or the name of a shipped one.",
        autocompletion=recipe_names,
        show_default=False,
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="toy|full",
        help="Galaxies made here, or published data, for a recipe that has both [default: as it says, toy].",
    ),
]


def with_scale(overrides: Sequence[str] | None, scale: str | None) -> list[str]:
    """Return overrides as of --set, with what --scale says."""
    return [*(overrides or ()), *([] if scale is None else [f"scale={scale}"])]


RunsFolder = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="PATH",
        help="Folder of the run directories [default: runs/<recipe> beside the recipe].",
        rich_help_panel=_COMMON,
    ),
]

# Name, type and default of each option that a step's verb has.
OPTIONS: dict[str, tuple[Any, Any]] = {
    "out": (Out, None),
    "seed": (Seed, 42),
    "device": (Device, "auto"),
    "workers": (Workers, 1),
    "scheduler": (Scheduler, None),
    "set": (Set, None),
    "profile": (Profile, False),
    "overwrite": (Overwrite, False),
    "json": (Json, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}


def show(done: Any, *, as_json: bool) -> None:
    """Print an executed step: JSON, or the path of its results, what they say and what to type next."""
    where = _places(done.results)
    if done.skipped:
        console.say(f"{' and '.join(where)} {'are' if len(where) > 1 else 'is'} there already; nothing to do")
    if as_json:
        console.json_document(done.results)
    for line in done.step.describe(done.results):
        console.say(line)
    if "profile" in done.results and not done.skipped:
        show_profiles({done.step.kind: done.results["profile"]})
    if not as_json:
        console.result("\n".join(where))
    for line in done.step.next_steps(done.results):
        console.say(f"next: {line}")


def show_profiles(profiles: Mapping[str, Mapping[str, float]]) -> None:
    """Print where the seconds of each step went; nothing for none."""
    if profiles:
        columns, rows = rows_of(profiles)
        console.table("where the time went", columns, rows)


def _places(results: Mapping[str, Any]) -> list[str]:
    """Return where the results are: a run directory, a product, or each of those that OUT stands for."""
    where = Path(str(results.get("out") or results.get("run")))
    if where.exists():
        return [str(where)]
    several = [
        where.with_name(name) for role, name in results.get("outputs", {}).items() if role != "contact_sheet"
    ]
    return [str(path) for path in several if path.exists()] or [str(where)]


def show_plan(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    problems: Sequence[str] = (),
    reproduced: Any = None,
    scale: str | None = None,
) -> None:
    """Print the steps of a recipe, one row each: what would be done, why, from what, and where."""
    if as_json:
        told = {"reproduced": reproduced.document()} if reproduced is not None else {}
        told |= {} if scale is None else {"scale": scale}
        console.json_document({"recipe": name, "steps": rows, "problems": list(problems), **told})
        return
    if scale is not None:
        console.say(f"{name} at {scale} scale")
    cells = [
        [row["step"], row["action"], row["reason"], ", ".join(row["reads"]), row["directory"]] for row in rows
    ]
    console.table("", ("step", "action", "reason", "reads", "directory"), cells, to_stdout=True)


def show_outcome(name: str, outcome: Any, *, as_json: bool, scale: str | None = None) -> None:
    """Print what running a recipe gave: every directory, then what was expected, then where the report is."""
    if as_json:
        steps = [
            {
                "step": step,
                "action": outcome.plan[step].action,
                "directory": str(outcome.plan[step].directory),
                "results": done.results,
            }
            for step, done in outcome.executed.items()
        ]
        told = {"recipe": name, "steps": steps, "expect": outcome.expectations}
        told |= {} if scale is None else {"scale": scale}
        if outcome.summary is not None:
            told["summary"] = str(outcome.summary)
        if outcome.reproduced is not None:
            told["reproduced"] = outcome.reproduced.document()
        console.json_document(told)
        return
    for step, done in outcome.executed.items():
        for line in done.step.describe(done.results):
            console.say(f"{step}: {line}")
    show_profiles(
        {
            step: done.results["profile"]
            for step, done in outcome.executed.items()
            if "profile" in done.results and not done.skipped
        }
    )
    for row in outcome.expectations:
        found = "absent" if row["found"] is None else f"{row['found']:.6g}"
        console.say(
            f"{'met' if row['met'] else 'MISSED'}: {row['step']} {row['key']} = {found} ({row['expected']})"
        )
    if outcome.summary is not None:
        console.result(str(outcome.summary))
    for path in outcome.reports() or [str(planned.directory) for planned in outcome.plan.values()][-1:]:
        console.result(path)
    if outcome.reproduced is None:
        console.say(f"locked in {outcome.lock}")
    for line in outcome.reproduced.sentences(str(outcome.lock)) if outcome.reproduced else ():
        console.say(line)
    if outcome.summary is not None:
        console.say(f"next: open {shlex.quote(str(outcome.summary))} in a browser")
        return
    last = list(outcome.executed.values())[-1]
    for line in last.step.next_steps(last.results):
        console.say(f"next: {line}")
