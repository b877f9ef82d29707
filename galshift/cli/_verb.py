"""A verb's command, made from its Step: positionals, options and examples stand there, and nothing here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from galshift import console
from galshift.cli._common import OPTIONS, NoScheduler, show

_TYPES = {"integer": int, "number": float, "flag": bool}
_ONLY_BY_NAME = inspect.Parameter.KEYWORD_ONLY


def command(kind: str) -> Callable[..., None]:
    """Return the command of the verb `kind` as a function that typer understands.

    Raises
    ------
    ConfigError
        When the verb is a plug-in that cannot be imported.
    """
    from galshift.verbs import STEPS

    step = STEPS.get(kind)
    return typed(step, _common(step), lambda given, said: _run(kind, given, said))


def typed(
    step: Any, common: Sequence[str], work: Callable[[dict[str, Any], dict[str, Any]], None]
) -> Callable[..., None]:
    """Return a function with the arguments of a Step (see :mod:`galshift.verbs`), for typer to call.

    An option that is not typed is None, so that what is handed on is what the user said.

    Parameters
    ----------
    step : type of Step
    common : sequence of str
        Names of the common options that it has.
    work : callable
        Takes the Step's own arguments and the common ones, by name.
    """
    from galshift.verbs._options import READING
    from galshift.verbs._parameters import parameters

    wanted = parameters(step)
    own = {one.name for one in wanted}
    parts = [
        _parameter(one, optional=any(other.spares(one.name) for other in step.instead)) for one in wanted
    ]
    parts += [_instead(one) for one in step.instead if one.name]
    shared = [name for name in common if name not in own]
    kinds = {name: OPTIONS[name][0] for name in shared}
    if "scheduler" in kinds and "scheduler" not in step.resources:
        kinds["scheduler"] = NoScheduler
    parts += [inspect.Parameter(n, _ONLY_BY_NAME, default=OPTIONS[n][1], annotation=kinds[n]) for n in shared]

    def run(**given: Any) -> None:
        work(given, {name: given.pop(name) for name in shared})

    run.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    run.__annotations__ = {part.name: part.annotation for part in parts}
    run.__doc__ = inspect.getdoc(step)
    # What stands in `galshift help reading` and `galshift help common`, and need not in every verb's help.
    read = [one.name for one in wanted if one.option.panel == READING]
    run.folded = (*read, *shared)  # type: ignore[attr-defined]
    run.several = tuple(one.flag for one in wanted if one.option.several)  # type: ignore[attr-defined]
    return run


def _run(kind: str, given: dict[str, Any], said: dict[str, Any]) -> None:
    """Call the verb and print what it found."""
    from galshift.recipes.call import Answered, Common, call

    console.set_verbosity(quiet=said.pop("quiet"), verbose=said.pop("verbose"))
    as_json = said.pop("json")
    done = call(kind, given, Common(**{**said, "set": tuple(said.get("set") or ())}))
    if not isinstance(done, Answered):
        show(done, as_json=as_json)
        return
    console.json_document(done.answer) if as_json else done.instead.show(done.answer)
    if (error := done.instead.trouble(done.answer)) is not None:
        raise error


def _common(step: Any) -> list[str]:
    """The common options that a verb has: those that can make a difference."""
    wanted = {"seed": "seed" in step.Config.model_fields, "out": not step.product}
    wanted |= {name: name in step.resources for name in ("device", "workers", "scheduler")}
    wanted["scheduler"] |= step.distributed
    return [name for name in OPTIONS if wanted.get(name, True)]


def _parameter(one: Any, *, optional: bool) -> inspect.Parameter:
    """One argument of a Step as typer's."""
    kind: Any = list[str] if one.several else _TYPES.get(one.kind, str)
    required = one.required and not optional
    told: Mapping[str, Any] = {
        "metavar": one.metavar or None,
        "help": one.help if one.positional else one.help + default_of(one),
        "show_default": False,
        "autocompletion": _completer(one),
    }
    if one.positional:
        info = typer.Argument(**told)
    else:
        panel = one.option.panel or None
        info = typer.Option(*_flags(one), min=one.low, max=one.high, rich_help_panel=panel, **told)
    return inspect.Parameter(
        one.name,
        _ONLY_BY_NAME,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[kind if required else kind | None, info],
    )


def _flags(one: Any) -> tuple[str, ...]:
    if one.option.flags:
        return one.option.flags
    if one.kind != "flag" or not one.default:
        return (one.flag,)
    return (f"{one.flag}/--no-{one.flag[2:]}",)


def default_of(one: Any) -> str:
    """The config's default in brackets, where a reader of help could not guess it."""
    value = one.default
    known = isinstance(value, str | int | float | tuple | list) and not isinstance(value, bool)
    if one.required or not known or not value:
        return ""
    shown = ",".join(str(item) for item in value) if isinstance(value, list | tuple) else f"{value}"
    return f" [default: {shown}]"


def _completer(one: Any) -> Callable[[str], list[tuple[str, str]]] | None:
    if not (one.words or one.choice or one.option.names):
        return None
    return lambda incomplete: [pair for pair in one.choices() if pair[0].startswith(incomplete)]


def _instead(one: Any) -> inspect.Parameter:
    """The option that asks for something else than the verb's work."""
    flag = f"--{one.name.replace('_', '-')}"
    info = typer.Option(flag, help=one.help, rich_help_panel=one.panel or None)
    return inspect.Parameter(one.name, _ONLY_BY_NAME, default=False, annotation=Annotated[bool, info])
