"""What every verb on the command line shares: option types, and the one way to run a step.

A verb that is a step (``galshift/verbs/<verb>.py``) is written like this and has no logic::

    \"\"\"Train a classifier on labelled images.\"\"\"          # the line in `galshift --help`

    from __future__ import annotations
    from typing import Annotated
    import typer
    from galshift.cli._common import verb

    EXAMPLES = ("galshift train sim.h5", "galshift train sim.h5 --model resnet18 --epochs 30")

    @verb("train")
    def command(
        data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images.")],
        model: Annotated[str, typer.Option(help="Network.", autocompletion=names_of("models"))] = "deepmerge",
        epochs: Annotated[int | None, typer.Option(help="Epochs in all.")] = None,
    ) -> dict:
        \"\"\"Train a classifier on labelled images, and keep the best epoch.\"\"\"
        return {"data": data, "model": model, "epochs": epochs}

The function returns the values of the step's config (None: take the config's default; a key ``"a.b"`` reaches
into a nested config).  :func:`verb` adds ``--out --seed --device --workers --set --overwrite --json -q -v``,
runs the step through ``execute`` and prints where the results are and what to type next;
``without=("seed", ...)`` leaves options out.  A verb with a positional OUT declares a parameter ``out`` of
type `OutArgument`, sets ``product`` on its Step, and the step writes ``context.out``.  A function that
returns an :class:`Instead` does that in place of running the step.  A verb that is no step
(``list``, ``doctor``) has a plain ``command`` that uses the option types below.  Only typer and light modules
are imported at the top of a verb's file.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from galshift import console

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
OutArgument = Annotated[
    str, typer.Argument(metavar="OUT", help="Where to write the product.", show_default=False)
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
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=_COMMON)]


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
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "out": (Out, None),
    "seed": (Seed, 42),
    "device": (Device, "auto"),
    "workers": (Workers, 1),
    "set": (Set, None),
    "overwrite": (Overwrite, False),
    "json": (Json, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}


@dataclass(frozen=True)
class Options:
    """The values of the common options; see the types of the same names."""

    out: str | None = None
    seed: int | None = None
    device: str = "auto"
    workers: int = 1
    set: tuple[str, ...] = ()
    overwrite: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Instead:
    """What a verb does instead of running its step, because an option such as ``--check`` asks for it.

    Attributes
    ----------
    work : callable
        Takes the :class:`Options` and returns the JSON-able answer.
    show : callable
        Prints that answer for people.
    trouble : callable, optional
        The error, if any, with which the command ends after it has printed the answer.
    """

    work: Callable[[Options], Any]
    show: Callable[[Any], None]
    trouble: Callable[[Any], Exception | None] = lambda answer: None


def answer(instead: Instead, options: Options) -> None:
    """Do what a verb does instead of its step, and print it."""
    console.set_verbosity(quiet=options.quiet, verbose=options.verbose)
    found = instead.work(options)
    console.json_document(found) if options.json else instead.show(found)
    if (error := instead.trouble(found)) is not None:
        raise error


def verb(
    kind: str, *, without: tuple[str, ...] = ()
) -> Callable[[Callable[..., Mapping[str, Any]]], Callable[..., None]]:
    """Make a function that returns a step's config values into a command that runs the step.

    Parameters
    ----------
    kind : str
        The step.
    without : tuple of str
        Common options that this verb does not have.
    """

    def decorate(function: Callable[..., Mapping[str, Any]]) -> Callable[..., None]:
        signature = inspect.signature(function)
        own = dict(signature.parameters)
        hints = get_type_hints(function, include_extras=True)
        added = [name for name in _OPTIONS if name not in own and name not in without]

        @functools.wraps(function)
        def command(**given: Any) -> None:
            common = {name: given.pop(name) for name in added}
            if "out" in own:
                common["out"] = given["out"]
            common["set"] = tuple(common.get("set") or ())
            options, values = Options(**common), function(**given)
            answer(values, options) if isinstance(values, Instead) else run_verb(kind, values, options)

        keyword = inspect.Parameter.KEYWORD_ONLY
        mine = [own[name].replace(kind=keyword, annotation=hints[name]) for name in own]
        common = [
            inspect.Parameter(n, keyword, default=_OPTIONS[n][1], annotation=_OPTIONS[n][0]) for n in added
        ]
        # The Python function of the same name (galshift.api) is made from these.
        command.kind, command.function, command.options = kind, function, tuple(added)  # type: ignore[attr-defined]
        command.__signature__ = signature.replace(parameters=[*mine, *common], return_annotation=None)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in [*mine, *common]}
        del command.__wrapped__  # typer must see the signature above, not the wrapped function's
        return command

    return decorate


def run_verb(kind: str, values: Mapping[str, Any], options: Options) -> None:
    """Run the step `kind` with `values` and print its results.

    Parameters
    ----------
    kind : str
    values : mapping
        Config values; None means the config's own default, and a dotted key reaches into a nested config.
        ``out`` and ``scheduler`` are not part of a config; they say where, not what.
    options : Options
    """
    console.set_verbosity(quiet=options.quiet, verbose=options.verbose)
    show(execute_verb(kind, values, options), as_json=options.json)


def execute_verb(kind: str, values: Mapping[str, Any], options: Options) -> Any:
    """Run the step `kind` and return what ``execute`` returned; arguments as of :func:`run_verb`."""
    from galshift.recipes.execute import execute
    from galshift.verbs import STEPS
    from galshift.verbs._base import Context

    given = {key: value for key, value in values.items() if value is not None}
    nested = _nested({key: value for key, value in given.items() if key not in ("out", "scheduler")})
    if options.seed is not None and "seed" in STEPS.get(kind).Config.model_fields:
        nested.setdefault("seed", options.seed)
    return execute(
        kind,
        nested,
        out=options.out,
        overwrite=options.overwrite,
        context=Context(device=options.device, workers=options.workers, scheduler=given.get("scheduler")),
        overrides=options.set,
    )


def show(done: Any, *, as_json: bool) -> None:
    """Print an executed step: JSON, or the path of its results, what they say and what to type next."""
    where = _places(done.results)
    if done.skipped:
        console.say(f"{' and '.join(where)} {'are' if len(where) > 1 else 'is'} there already; nothing to do")
    if as_json:
        console.json_document(done.results)
    for line in done.step.describe(done.results):
        console.say(line)
    if not as_json:
        console.result("\n".join(where))
    for line in done.step.next_steps(done.results):
        console.say(f"next: {line}")


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
    name: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool, problems: Sequence[str] = ()
) -> None:
    """Print the steps of a recipe, one row each: what would be done, why, from what, and where."""
    if as_json:
        console.json_document({"recipe": name, "steps": rows, "problems": list(problems)})
        return
    cells = [
        [row["step"], row["action"], row["reason"], ", ".join(row["inputs"]), row["directory"]]
        for row in rows
    ]
    console.table("", ("step", "action", "reason", "inputs", "directory"), cells, to_stdout=True)


def show_outcome(name: str, outcome: Any, *, as_json: bool) -> None:
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
        console.json_document({"recipe": name, "steps": steps, "expect": outcome.expectations})
        return
    for step, done in outcome.executed.items():
        for line in done.step.describe(done.results):
            console.say(f"{step}: {line}")
    for row in outcome.expectations:
        found = "absent" if row["found"] is None else f"{row['found']:.6g}"
        console.say(
            f"{'met' if row['met'] else 'MISSED'}: {row['step']} {row['key']} = {found} ({row['expected']})"
        )
    for path in outcome.reports() or [str(planned.directory) for planned in outcome.plan.values()][-1:]:
        console.result(path)
    console.say(f"locked in {outcome.lock}")
    last = list(outcome.executed.values())[-1]
    for line in last.step.next_steps(last.results):
        console.say(f"next: {line}")


def names_of(kind: str) -> Callable[[str], list[tuple[str, str]]]:
    """Return a completer for the names of a registry (``methods``, ...), without heavy imports."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from galshift.recipes.catalogue import entries

        return [(name, text) for name, text in entries(kind) if name.startswith(incomplete)]

    return complete


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        place = tree
        *parents, last = key.split(".")
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return tree
