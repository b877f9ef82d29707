"""The command that repeats a finished run, with something changed: for what a verb says to type next."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from galshift.verbs import STEPS
from galshift.verbs._parameters import Parameter, parameters

_FLAGGED = ("integer", "number", "text")  # kinds of options whose value is one word
_PLAIN = re.compile(r"[A-Za-z][\w./-]*")
_KEYWORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def command_again(kind: str, config: Mapping[str, Any], *, less: tuple[str, ...] = ()) -> str:
    """Return the command of a verb that gives the resolved `config` of a run, with what differs from default.

    Parameters
    ----------
    kind : str
        The verb.
    config : mapping
        As ``config.yaml`` has it.
    less : tuple of str
        Fields that are left at their defaults.
    """
    step = STEPS.get(kind)
    held = {key: value for key, value in config.items() if key not in ("uses", *less)}
    options = {one.option.fields[0]: one for one in parameters(step) if one.option.fields}
    asked = {key: held[key] for key in (*step.positionals, "settings") if held.get(key) is not None}
    words = [f"galshift {kind}", *(shlex.quote(str(asked[name])) for name in step.positionals)]
    if "settings" in asked:
        words.append(f"--settings {shlex.quote(asked['settings'])}")
    plain = step.Config.model_validate(asked).model_dump(mode="json")
    for key, value in held.items():
        named = {name: value[name] for name in ("kind", "path") if name in value} if _chosen(value) else {}
        if named and any(plain[key].get(name) != one for name, one in named.items()):
            asked[key] = named
            words.append(f"{options[key].flag} {shlex.quote(str(named.get('path', named['kind'])))}")
    blank = step.Config.model_validate(asked).model_dump(mode="json")
    dumped = step.Config.model_validate(held).model_dump(mode="json")
    for path, value in _differing(dumped, blank):
        words.append(_word(path, value, options.get(path)))
    return " ".join(words)


def _chosen(value: Any) -> bool:
    """Whether a field holds a registered thing with its options."""
    return isinstance(value, Mapping) and "kind" in value


def _differing(
    tree: Mapping[str, Any], blank: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Any]]:
    """Key paths of what differs from `blank`, with its value."""
    for key, value in tree.items():
        old, here = blank.get(key), f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and value and (old is None or isinstance(old, Mapping)):
            yield from _differing(value, old or {}, here)
        elif key not in blank or value != old:
            yield here, value


def _word(path: str, value: Any, parameter: Parameter | None) -> str:
    """One option as typed: by its own name where it has one; a reading option's may set two fields."""
    if path == "seed":
        return f"--seed {value}"
    named = parameter is not None and parameter.kind in _FLAGGED and not path.startswith("read")
    if named and value is not None:
        return f"{parameter.flag} {shlex.quote(str(value))}"
    # JSON is YAML; a plain word that is no keyword of YAML needs no quotes.
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.casefold() not in _KEYWORDS
    text = value if plain else json.dumps(value)
    return f"--set {shlex.quote(f'{path}={text}')}"
