"""The fewest values that make a step's config, and recipes written as people write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from galshift.recipes.loader import parse_scalar
from galshift.recipes.prepare import InvalidConfig, check_config
from galshift.verbs._base import Step

_WIDE = 100
# Text that needs no quotes in any place of a recipe.
_PLAIN = re.compile(r"^[A-Za-z0-9_./~][A-Za-z0-9_./~+@ -]*(?<! )$")


def fewest_values(step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `values` that makes the same config: defaults and settings give the rest.

    Raises
    ------
    InvalidConfig
        When `values` are not a config of `step`.
    """
    wanted = check_config(step, values).model_dump(mode="json")

    def same(tried: Mapping[str, Any]) -> bool:
        try:
            return check_config(step, tried).model_dump(mode="json") == wanted
        except InvalidConfig:
            return False

    left = _copied(dict(values))
    for place in _places(left):
        _thin(left, place, same)
    return left


def _places(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the key path of every value, each mapping before what is in it."""
    found = []
    for key, value in values.items():
        found.append((*above, key))
        if isinstance(value, dict):
            found += _places(value, (*above, key))
    return found


def _thin(whole: dict[str, Any], place: tuple[str, ...], same: Any) -> None:
    """Take the value at `place` out of `whole` if it is not needed; a kind alone becomes its name."""
    owner: Any = whole
    for key in place[:-1]:
        owner = owner.get(key) if isinstance(owner, dict) else None
    last = place[-1]
    if not isinstance(owner, dict) or last not in owner:
        return  # went with what it is in
    before = dict(owner)
    for tried in (None, before[last].get("kind")) if isinstance(before[last], dict) else (None,):
        owner.clear()
        # In its place: the order of a config is that in which it is told.
        owner.update({key: tried if key == last else value for key, value in before.items()})
        if tried is None:
            del owner[last]
        if same(whole):
            return
    owner.clear()
    owner.update(before)


def recipe_text(
    head: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]], remark: Sequence[str]
) -> str:
    """Return a recipe file.

    Parameters
    ----------
    head : mapping
        What stands above the steps: name, seed, data.
    steps : mapping
        Step to its values, ``uses`` first.
    remark : sequence of str
        Lines of comment that begin it.
    """
    lines = [*(f"# {' '.join(line.split())}" for line in remark), "recipe: 1"]
    for key, value in head.items():
        if isinstance(value, Mapping):
            lines += ["", f"{key}:", *(f"  {_flow(name)}: {_flow(item)}" for name, item in value.items())]
        else:
            lines.append(f"{key}: {_flow(value)}")
    lines += ["", "steps:"]
    for name, values in steps.items():
        one = f"  {name}: {_flow(values)}"
        if len(one) <= _WIDE:
            lines.append(one)
        else:
            lines += [f"  {name}:", *(f"    {key}: {_flow(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """Return plain data on one line, so that a recipe's reader gives the same back."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN.match(value) and parse_scalar(value) == value
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value - value != 0:
        return ".nan" if value != value else ".inf" if value > 0 else "-.inf"
    return json.dumps(value)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list | tuple) else value
