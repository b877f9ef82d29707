"""The arguments of a verb, read from its Step and its config: one list for the shell and for Python."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from galshift.data.options import ReadOptions
from galshift.errors import UsageError
from galshift.verbs._base import Step
from galshift.verbs._choice import ChoiceOf
from galshift.verbs._options import Option, reading

Kind = Literal[
    "flag", "integer", "number", "text", "number-or-text", "number-or-pairs", "words", "paths", "pairs"
]


@dataclass(frozen=True)
class Parameter:
    """One argument of a verb.

    Attributes
    ----------
    option : Option
        Its name, the fields it sets, and how help shows it.
    kind : str
        How its value is typed; ``words`` and ``pairs`` have commas between them and may be repeated,
        ``paths`` are repeated.
    positional, required : bool
    default : object
        The config's own; None where there is none.
    help, metavar : str
    low, high : float or None
        Smallest and largest value.
    annotation : object
        The field's type.
    """

    option: Option
    kind: Kind
    positional: bool = False
    required: bool = False
    default: Any = None
    help: str = ""
    metavar: str = ""
    low: float | None = None
    high: float | None = None
    annotation: Any = None
    words: tuple[str, ...] = ()
    choice: ChoiceOf | None = None

    @property
    def name(self) -> str:
        """The name in Python."""
        return self.option.name

    @property
    def flag(self) -> str:
        """As typed, for messages."""
        return (
            self.metavar
            if self.positional
            else (self.option.flags or (f"--{self.name.replace('_', '-')}",))[-1]
        )

    @property
    def several(self) -> bool:
        """True when it holds a list."""
        return self.kind in ("words", "paths", "pairs")

    def choices(self) -> list[tuple[str, str]]:
        """Return (name, summary) of what it takes, as far as that can be listed without importing it."""
        if self.words:
            return [(word, "") for word in self.words]
        if self.choice is not None:
            extra = dict(self.choice.also)
            registry = self.choice.registry()
            told = [(name, registry.summary(name)) for name in registry.names()]
            return sorted([*told, *((name, first_line(config)) for name, config in extra.items())])
        if self.option.names is None:
            return []
        module, attribute = self.option.names
        found = importlib.import_module(module)
        registry = getattr(found, attribute) if attribute else found
        return [(name, registry.summary(name)) for name in registry.names()]


def parameters(step: type[Step]) -> list[Parameter]:
    """Return the arguments of a verb: positionals first, then its options, in the order of its Step."""
    places = [_parameter(step, Option(name, (name,)), positional=True) for name in step.positionals]
    if step.product:
        told = step.out_help or "Where to write the product."
        places.append(
            Parameter(Option("out", ()), "text", True, True, help=told, metavar="OUT", annotation=str)
        )
    return [*places, *(_parameter(step, one) for one in _options(step))]


def _options(step: type[Step]) -> Iterator[Option]:
    """What the Step declares; a Step that declares nothing offers every plain field of its config."""
    fields = step.Config.model_fields
    if step.options is not None:
        yield from (Option(one, (one,)) if isinstance(one, str) else one for one in step.options)
        return
    for name, field in fields.items():
        if name not in (*step.positionals, "seed") and not _models_in(field.annotation):
            yield Option(name, (name,))
    if "read" in fields and fields["read"].annotation is ReadOptions:
        yield from reading("read")


def _parameter(step: type[Step], one: Option, *, positional: bool = False) -> Parameter:
    if not one.fields:
        return Parameter(one, "text", help=one.help, metavar=one.metavar, annotation=str | None)
    path = one.fields[0]
    field = _field(step.Config, path)
    choice = next((note for note in field.metadata if isinstance(note, ChoiceOf)), None)
    top = path.split(".")[0]
    kind = _kind(field.annotation, path, step)
    words = tuple(str(word) for word in _literals(field.annotation))
    bounds = {type(note).__name__: note for note in field.metadata}
    name = path.split(".")[-1].upper()
    shown = one.metavar or (name if positional else "|".join(words))
    required = field.is_required() and step.Config.model_fields[top].is_required()
    return Parameter(
        one,
        kind,
        positional,
        required,
        None if field.is_required() else field.get_default(call_default_factory=True),
        one.help or field.description or "",
        shown or _metavar(kind, path, step, choice),
        getattr(bounds.get("Ge"), "ge", None),
        getattr(bounds.get("Le"), "le", None),
        field.annotation,
        words,
        choice,
    )


def _metavar(kind: Kind, path: str, step: type[Step], choice: ChoiceOf | None) -> str:
    """What stands for a value that says nothing itself; empty: what the command line makes of its type."""
    if choice is not None:
        return "NAME"
    inputs = {name.rstrip("?") for name in step.inputs}
    named = {"words": "WORD,...", "pairs": "OLD=NEW,...", "paths": "PATH"}
    return named.get(kind, "PATH" if path in inputs and kind == "text" else "")


def _kind(annotation: Any, path: str, step: type[Step]) -> Kind:
    """How a value of a field's type is typed."""
    inner = [part for part in _parts(annotation) if part is not type(None)]
    first, rest = inner[0], inner[1:]
    origin = get_origin(first) or first
    if origin in (list, tuple):
        paths = {name.rstrip("?") for name in step.inputs}
        return "paths" if path in paths else "words"
    if origin is dict:
        return "pairs"
    if first is bool:
        return "flag"
    if first in (int, float):
        if any((get_origin(part) or part) is dict for part in rest):
            return "number-or-pairs"
        return "number-or-text" if str in rest else "integer" if first is int and not rest else "number"
    return "text"


def _parts(annotation: Any) -> list[Any]:
    """The members of a union, without what annotates them."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return [part for one in get_args(annotation) for part in _parts(one)]
    if hasattr(annotation, "__metadata__"):
        return _parts(get_args(annotation)[0])
    return [annotation]


def _literals(annotation: Any) -> Iterator[Any]:
    """Every word that a type of words lists, also inside a tuple."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
        return
    for inner in get_args(annotation):
        yield from _literals(inner)


def _field(config: type[BaseModel], path: str) -> FieldInfo:
    """The field at a dotted key path of a config."""
    *parents, last = path.split(".")
    for name in parents:
        (config,) = _models_in(config.model_fields[name].annotation)
    return config.model_fields[last]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    parts = _parts(annotation)
    return [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]


def first_line(thing: Any) -> str:
    """The first line of a docstring."""
    return (thing.__doc__ or "").strip().split("\n")[0]


def plain(parameter: Parameter, value: Any) -> Any:
    """Return a value as the config takes it, from a word of the command line or from Python.

    Raises
    ------
    UsageError
        When pairs are not pairs.
    """
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, Mapping) or parameter.kind in ("flag", "integer", "number"):
        return value
    if parameter.kind == "words":
        texts = value if isinstance(value, list | tuple) else [value]
        return [word for text in texts for word in _words(text)]
    if parameter.kind == "paths":
        return [str(item) for item in (value if isinstance(value, list | tuple) else [value])]
    if not isinstance(value, str) and parameter.kind != "pairs":
        return value
    if parameter.kind == "number-or-text":
        return _number(value)
    if parameter.kind == "number-or-pairs":
        number = _number(value)
        if not isinstance(number, str):
            return number
        pairs = _pairs(parameter, value)
        return {name: _number(text) for name, text in pairs.items()}
    if parameter.kind == "pairs":
        return _pairs(parameter, value)
    return value


def _words(text: Any) -> list[Any]:
    return [word.strip() for word in text.split(",") if word.strip()] if isinstance(text, str) else [text]


def _number(text: str) -> int | float | str:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _pairs(parameter: Parameter, value: Any) -> dict[str, str]:
    """Read ``Round=smooth,Disk=features,*=``, in one word or in several."""
    found: dict[str, str] = {}
    for text in value if isinstance(value, list | tuple) else [value]:
        for part in filter(None, (piece.strip() for piece in str(text).split(","))):
            old, equals, new = (half.strip() for half in part.partition("="))
            if not equals or not old or old in found:
                raise UsageError(
                    f"'{part}' is not of the form {parameter.metavar.split(',')[0]}, each name once",
                    where=parameter.flag,
                    hint=f"such as {parameter.flag} {parameter.metavar}",
                )
            found[old] = new
    return found


def config_values(step: type[Step], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested config values of what was given, by parameter name; what was not given is left out.

    Raises
    ------
    UsageError
        When a value cannot be read, or no argument is called so.
    """
    known = {one.name: one for one in parameters(step)}
    ready = {
        name: plain(known[name], value) if name in known else value
        for name, value in given.items()
        if value is not None
    }
    tree: dict[str, Any] = {}
    for name, value in step().from_options(ready).items():
        for path in known[name].option.fields:
            place = tree
            *parents, last = path.split(".")
            for part in parents:
                place = place.setdefault(part, {})
            place[last] = value
    return tree
