"""A verb as a Python function: signature and docstring come from its Step and its config."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from galshift.api.results import Result, result_of
from galshift.verbs import STEPS
from galshift.verbs._parameters import Parameter, parameters

_BY_NAME = inspect.Parameter.KEYWORD_ONLY
_COMMON = {
    "out": ("path", None, "Where the result goes; default runs/<verb>-<fingerprint>."),
    "seed": ("int", 42, "Seed of every random stream."),
    "device": ("str", "auto", "Where to compute: auto, cpu, cuda or cuda:N."),
    "workers": ("int", 1, "Processes; results do not depend on it."),
    "scheduler": ("str", None, "Address, or scheduler file, of a Dask cluster to work on."),
    "profile": ("bool", False, "Say in ``results['profile']`` where the seconds went."),
    "overwrite": ("bool", False, "Move aside what stands at the output."),
    "set": ("mapping of str to object", None, "Any value of the config, by its key path."),
}


@functools.cache
def verb_function(kind: str) -> Callable[..., Any]:
    """Return the verb `kind` as a function.

    Raises
    ------
    ConfigError
        When it is a plug-in that cannot be imported.
    """
    step = STEPS.get(kind)
    wanted = parameters(step)
    shared = _shared(step, wanted)
    signature = inspect.Signature(
        [
            *(
                _argument(one, optional=any(other.spares(one.name) for other in step.instead))
                for one in wanted
            ),
            *(inspect.Parameter(one.name, _BY_NAME, default=False) for one in step.instead if one.name),
            *(inspect.Parameter(name, _BY_NAME, default=_COMMON[name][1]) for name in shared),
        ]
    )

    def run(*args: Any, **kwargs: Any) -> Result | Any:
        given = dict(signature.bind(*args, **kwargs).arguments)
        return _run(kind, wanted, given, shared)

    run.__name__ = run.__qualname__ = kind.replace("-", "_")
    run.__module__ = "galshift"
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__doc__ = _docstring(step, wanted, shared)
    return run


def _shared(step: Any, wanted: Sequence[Parameter]) -> list[str]:
    """The common arguments that make a difference to a verb."""
    possible = {"seed": "seed" in step.Config.model_fields, "out": not step.product}
    possible |= {name: name in step.resources for name in ("device", "workers", "scheduler")}
    own = {one.name for one in wanted}
    return [name for name in _COMMON if possible.get(name, True) and name not in own]


def _argument(one: Parameter, *, optional: bool) -> inspect.Parameter:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if one.positional else _BY_NAME
    needed = one.required and not optional
    default = inspect.Parameter.empty if needed else one.default
    return inspect.Parameter(one.name, kind, default=default)


def _run(
    kind: str, wanted: Sequence[Parameter], given: dict[str, Any], shared: Sequence[str]
) -> Result | Any:
    from galshift.api.inputs import as_paths
    from galshift.recipes.call import Answered, Common, call

    common = {name: given.pop(name) for name in shared if given.get(name) is not None}
    common["set"] = tuple(f"{key}={json.dumps(value)}" for key, value in common.get("set", {}).items())
    inputs = {name.rstrip("?") for name in STEPS.get(kind).inputs}
    for one in wanted:
        if one.name in given and inputs.intersection(one.option.fields):
            given[one.name] = as_paths(given[one.name], one.name, many=one.kind == "paths")
    done = call(kind, given, Common(**common))
    return done.answer if isinstance(done, Answered) else result_of(done)


def _docstring(step: Any, wanted: Sequence[Parameter], shared: Sequence[str]) -> str:
    """Return the Step's docstring with one numpydoc entry for each argument."""
    lines = [inspect.getdoc(step) or "", "", "Parameters", "----------"]
    inputs = {name.rstrip("?") for name in step.inputs}
    for one in wanted:
        default = "" if one.required or one.default is None else f", default {one.default!r}"
        kind = "path or data" if inputs.intersection(one.option.fields) else _KINDS[one.kind]
        lines.append(f"{one.name} : {kind}{'' if one.required else ', optional'}{default}")
        lines += [f"    {one.help}"] if one.help else []
    for one in step.instead:
        lines += [f"{one.name} : bool, optional", f"    {one.help}"] if one.name else []
    for name in shared:
        kind, default, told = _COMMON[name]
        lines += [f"{name} : {kind}, default {default!r}", f"    {told}"]
    lines += ["", "Returns", "-------", "Result", "    Where it is, and what it says; see `galshift.load`."]
    return "\n".join(lines)


_KINDS: Mapping[str, str] = {
    "flag": "bool",
    "integer": "int",
    "number": "float",
    "text": "str",
    "number-or-text": "int, float or str",
    "number-or-pairs": "float or mapping",
    "words": "list of str",
    "paths": "list",
    "pairs": "mapping of str to str",
}
