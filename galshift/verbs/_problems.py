"""Say in words what is wrong with a configuration: every problem, with the nearest right spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

# What pydantic calls by Python's names.
_TYPES = {
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "list_type": "a list",
    "string_type": "text",
}


def explain(error: ValidationError, model: type[BaseModel]) -> list[tuple[tuple[str | int, ...], str]]:
    """Return (key path, sentence) for each problem of `error`.

    Parameters
    ----------
    error : ValidationError
    model : type of BaseModel
        The model that was validated; it knows which keys are allowed where.

    Returns
    -------
    list of (tuple, str)
        Key path as typed (tags of unions dropped), and what is wrong there.
    """
    found: dict[tuple[str | int, ...], list[str]] = {}
    for item in error.errors(include_url=False):
        place = _as_typed(item["loc"], model)
        nested = (item.get("ctx") or {}).get("problems")
        for inner, text in nested or [((), _sentence(item, model, place))]:
            texts = found.setdefault((*place, *inner), [])
            if text not in texts:
                texts.append(text)
    return [(place, "; or ".join(texts)) for place, texts in found.items()]


def unknown_key(key: str, allowed: Iterable[str]) -> str:
    """Return the sentence for an unknown `key` where `allowed` could have stood."""
    names = sorted(allowed)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    return f"unknown key.{guess} Allowed: {', '.join(names) if names else 'no keys'}"


def misspelt(wanted: str, given: Iterable[str]) -> str | None:
    """Return the key among `given` that is most likely a misspelling of the missing key `wanted`."""
    close = difflib.get_close_matches(wanted, list(given), n=1, cutoff=0.5)
    return close[0] if close else None


def dotted(place: Sequence[str | int]) -> str:
    """Return a key path as typed: ``steps.adapted.seeds[2]``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _sentence(item: Mapping[str, Any], model: type[BaseModel], place: Sequence[str | int]) -> str:
    kind, context = item["type"], item.get("ctx") or {}
    if kind == "extra_forbidden":
        allowed = {key for owner in _models_at(model, place[:-1]) for key in _keys(owner)}
        return unknown_key(str(place[-1]), allowed)
    if kind == "missing":
        return "this key is required"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}, not {item.get('input')!r}"
    if kind == "value_error":
        return str(context.get("error", item["msg"]))
    given = item.get("input")
    shown = f", not {given!r}" if isinstance(given, str | int | float | bool | None) else ""
    text = item["msg"].removeprefix("Input should be ").split(", unable to")[0]
    if kind == "literal_error" and isinstance(given, str):
        words = [word.strip("'") for word in context.get("expected", "").replace(" or ", ", ").split(", ")]
        close = difflib.get_close_matches(given, words, n=1)
        shown += f". Did you mean '{close[0]}'?" if close else ""
    return f"must be {text}{shown}" if item["msg"].startswith("Input should be ") else f"{text}{shown}"


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _models_at(model: type[BaseModel], place: Sequence[str | int]) -> list[type[BaseModel]]:
    """Return the models that may stand at key path `place` (several for a union)."""
    owners = [model]
    for part in place:
        if isinstance(part, int):
            continue
        fields = [field for owner in owners for name, field in owner.model_fields.items() if name == part]
        owners = [inner for field in fields for inner in _models_in(field.annotation)]
    return owners


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _as_typed(place: Sequence[str | int], model: type[BaseModel]) -> tuple[str | int, ...]:
    """Drop from pydantic's path the tags of unions and validators, which nobody typed."""
    typed: list[str | int] = []
    owners: list[type[BaseModel]] = [model]
    for index, part in enumerate(place):
        keys = {key for owner in owners for key in _keys(owner)}
        last = index == len(place) - 1
        if (
            isinstance(part, int)
            or part in keys
            or (last and not _is_tag(part))
            or (not owners and not _is_tag(part))
        ):
            typed.append(part)
            if not isinstance(part, int):
                owners = _models_at(model, [p for p in typed if not isinstance(p, int)])
    return tuple(typed)


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and (part in {"str", "int", "float", "bool", "none"} or "[" in part)
