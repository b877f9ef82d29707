"""A verb's command, made from its Step: positionals, options and examples stand there, and nothing here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from galshift import console
from galshift.cli._common import OPTIONS, show

_TYPES = {"integer": int, "number": float, "flag": bool}


def command(kind: str) -> Callable[..., None]:
    """Return the command of the verb `kind` as a function that typer understands.

    Its arguments are those of the Step (see :mod:`galshift.verbs`), then the common ones.  An option that is
    not typed is None, so that what is handed on is what the user said.
    """
    from galshift.verbs import STEPS
    from galshift.verbs._parameters import parameters

    step = STEPS.get(kind)
    wanted = parameters(step)
    parts = [_parameter(one, optional=bool(step.instead)) for one in wanted]
    parts += [_instead(one) for one in step.instead if one.name]
    added = [name for name in _common(step) if name not in {one.name for one in wanted}]
    parts += [
        inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=OPTIONS[n][1], annotation=OPTIONS[n][0])
        for n in added
    ]

    def run(**given: Any) -> None:
        _run(kind, given, {name: given.pop(name) for name in added})

    run.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
    run.__annotations__ = {part.name: part.annotation for part in parts}
    run.__doc__ = inspect.getdoc(step)
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
    names = {"seed": "seed" in step.Config.model_fields, "out": not step.product}
    names |= {name: name in step.resources for name in ("device", "workers", "scheduler")}
    return [name for name in OPTIONS if names.get(name, True)]


def _parameter(one: Any, *, optional: bool) -> inspect.Parameter:
    """One argument of a Step as typer's."""
    many = one.several
    kind: Any = list[str] if many else _TYPES.get(one.kind, str)
    required = one.required and not optional
    told = one.help + ("" if one.positional else _default(one))
    if one.positional:
        info = typer.Argument(
            metavar=one.metavar, help=told, show_default=False, autocompletion=_completer(one)
        )
    else:
        info = typer.Option(
            *_flags(one),
            metavar=one.metavar or None,
            help=told,
            min=one.low,
            max=one.high,
            show_default=False,
            rich_help_panel=one.option.panel or None,
            autocompletion=_completer(one),
        )
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[kind if required else kind | None, info],
    )


def _flags(one: Any) -> tuple[str, ...]:
    if one.option.flags:
        return one.option.flags
    flag = "--" + one.name.replace("_", "-")
    if one.kind != "flag" or not one.default:
        return (flag,)
    return (f"{flag}/--no-{flag[2:]}",)


def _default(one: Any) -> str:
    """The config's default in brackets, where a reader of help could not guess it."""
    value = one.default
    if one.required or value is None or isinstance(value, bool) or value in ((), [], {}, ""):
        return ""
    if not isinstance(value, str | int | float | list | tuple):
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
    return inspect.Parameter(
        one.name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, info]
    )
