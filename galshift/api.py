"""The verbs as Python functions: same names, same defaults, same results as on the command line.

``galshift.adapt("sim.h5", "sdss/", method="mmd")`` does what ``galshift adapt sim.h5 sdss/ --method mmd``
does: the function is made from the verb's file, so the two cannot drift apart.  A list may be given where the
command line takes words with commas, and a path object for a path.  Besides the verb's own options every
function has the common ones that change what is done (``out``, ``seed``, ``device``, ``workers``,
``overwrite``) and ``set``, a mapping of key paths to values that reaches every key of the config.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from galshift.cli._app import names, summary

# Options that only say how the command line prints.
_PRINTING = ("json", "quiet", "verbose")


def verbs() -> list[str]:
    """Return the names of the functions, from file names and without importing a verb."""
    return [name.replace("-", "_") for name in names() if name not in _NOT_STEPS]


# Verbs that only look or manage; their functions are those of galshift.recipes.
_NOT_STEPS = {"doctor", "list", "recipes", "run", "schema", "status", "validate"}


@functools.cache
def function(name: str) -> Callable[..., Any]:
    """Return the verb `name` (underscores for hyphens) as a function.

    Raises
    ------
    AttributeError
        When there is no such verb.
    """
    if name not in verbs():
        raise AttributeError(f"galshift has no verb '{name}'")
    command = importlib.import_module(f"galshift.cli.{name}").command
    if not hasattr(command, "kind"):
        raise AttributeError(f"'{name}' is a verb of the command line only")
    own = inspect.signature(command.function)
    shared = {p.name: p for p in inspect.signature(command).parameters.values() if p.name in command.options}
    shared = {key: value for key, value in shared.items() if key not in _PRINTING}
    hints = {**get_type_hints(command), "set": Mapping[str, Any] | None}
    parameters = [p.replace(annotation=hints[p.name]) for p in [*own.parameters.values(), *shared.values()]]

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return _run(command, bound.arguments, tuple(shared))

    signature = inspect.Signature(parameters)
    call.__name__ = call.__qualname__ = name
    call.__module__ = "galshift"
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = _docstring(name, command, parameters)
    return call


def _run(command: Any, given: Mapping[str, Any], shared: tuple[str, ...]) -> Any:
    from galshift.cli._common import Instead, Options, execute_verb

    hints = get_type_hints(command.function)
    own = {key: _as_typed(value, hints[key]) for key, value in given.items() if key not in shared}
    common = {key: given[key] for key in shared}
    common["set"] = tuple(f"{key}={json.dumps(value)}" for key, value in (common.get("set") or {}).items())
    if "out" in own:
        common["out"] = own["out"]
    options, values = Options(**common), command.function(**own)
    return (
        values.work(options) if isinstance(values, Instead) else execute_verb(command.kind, values, options)
    )


def _as_typed(value: Any, hint: Any) -> Any:
    """Return a Python value as the command line would have parsed it for a parameter of type `hint`."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    if isinstance(value, list | tuple):
        many = any(get_origin(kind) is list for kind in (hint, *get_args(hint)))
        return [str(item) for item in value] if many else ",".join(str(item) for item in value)
    return value


def _docstring(name: str, command: Any, parameters: list[inspect.Parameter]) -> str:
    """Return the verb's help with one numpydoc entry for each option, from the option's own help text."""
    lines = [(inspect.getdoc(command.function) or summary(name)).strip(), "", "Parameters", "----------"]
    hints = get_type_hints(command, include_extras=True)
    for parameter in parameters:
        kind, *notes = get_args(hints.get(parameter.name)) or (hints.get(parameter.name), None)
        default = "" if parameter.default is inspect.Parameter.empty else f", default {parameter.default!r}"
        if parameter.name == "set":
            kind = "mapping of str to object"
        lines.append(f"{parameter.name} : {getattr(kind, '__name__', str(kind))}{default}")
        text = getattr(notes[0], "help", None) if notes else None
        lines += [f"    {text}"] if text else []
    lines += [
        "",
        "Returns",
        "-------",
        "Executed",
        "    ``results`` is what ``--json`` prints; ``path`` is where it is.",
    ]
    return "\n".join(lines)
