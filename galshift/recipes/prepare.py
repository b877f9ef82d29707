"""A step before it runs: its config checked, its inputs identified, its result named by a fingerprint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from galshift.errors import ConfigError
from galshift.provenance import fingerprint
from galshift.recipes.inputs import Inputs, Known, identify, without
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Step
from galshift.verbs._problems import dotted, explain


class InvalidConfig(ConfigError):
    """Values that a step refuses; ``places`` holds each key path with what is wrong there."""

    def __init__(self, kind: str, places: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        problems = [f"{dotted(place)}: {text}" for place, text in places]
        super().__init__(f"{kind} cannot run with these values", problems=problems)
        self.places = list(places)


@dataclass(frozen=True)
class Prepared:
    """A checked step that has a name but has not run.

    Attributes
    ----------
    parameters : dict
        The part of the config that enters the fingerprint as values; inputs enter by content.
    versions : dict of str to int
        Versions of the registered things that it uses.
    """

    step: Step
    config: Strict
    inputs: Inputs
    parameters: dict[str, Any]
    versions: dict[str, int]
    fingerprint: str

    @property
    def directory(self) -> str:
        """Name of the run directory: kind and the first eight digits of the fingerprint."""
        return f"{self.step.kind}-{self.fingerprint[:8]}"


def prepare(
    kind: str,
    values: Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    known: Known | None = None,
) -> Prepared:
    """Check `values`, identify the inputs and compute the fingerprint, without doing any work.

    `known` says what paths contribute that may not exist yet: the results of a recipe's earlier steps, and
    its data cards.
    """
    step = STEPS.get(kind)()
    config = check_config(step, merged(values, overrides, defaults=step.Config))
    dumped = config.model_dump(mode="json")
    inputs = identify(dumped, step.inputs, known)
    unsaid = [name for name in step.newer if dumped[name] == step.Config.model_fields[name].default]
    parameters = without(dumped, (*inputs.fields, *step.display, *unsaid))
    versions = dict(step.versions(config))
    name = fingerprint(
        kind,
        step.version,
        {**parameters, **({"versions": versions} if versions else {})},
        upstream=inputs.upstream,
        inputs=inputs.hashes,
    )
    return Prepared(step, config, inputs, parameters, versions, name)


def check_config(step: Step, values: Mapping[str, Any]) -> Strict:
    """Return the config of `step` made from `values`; raises InvalidConfig with every problem."""
    try:
        return step.Config.model_validate(dict(values))
    except ValidationError as error:
        problems = explain(error, step.Config)
        if isinstance(named := values.get("settings"), str):
            problems = [_with_origin(place, text, named) for place, text in problems]
        raise InvalidConfig(step.kind, problems) from None


def _with_origin(place: tuple[str | int, ...], text: str, named: str) -> tuple[tuple[str | int, ...], str]:
    """Say of a problem elsewhere that the settings `named` may have brought the value."""
    if place[:1] == ("settings",):
        return place, text
    return place, f"{text} (what was not given here is of the settings '{named}')"


def merged(
    values: Mapping[str, Any], overrides: Sequence[str], *, defaults: type[Strict] | None = None
) -> dict[str, Any]:
    """Return `values` with each ``key.path=value`` of `overrides` put in; values are read as YAML.

    A thing named by its kind alone (``method: mmd``, or the default of `defaults`) grows options when one of
    them is set.

    Raises
    ------
    ConfigError
        When an override has no ``=``, or its path leads through something that has no keys.
    """
    tree = _copied(values)
    for text in overrides:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise ConfigError(
                f"--set {text!r} is not key.path=value", hint="for example --set method.weight=0.5"
            )
        *parents, last = path.strip().split(".")
        place = tree
        for part in parents:
            plain = place is tree and "settings" not in tree  # settings have a thing's kind otherwise
            inner = place.get(part, _default(defaults, part) if plain else None)
            if inner is None:
                inner = place[part] = {}
            elif isinstance(inner, str):
                inner = place[part] = {"kind": inner}
            elif not isinstance(inner, dict):
                raise ConfigError(f"--set {text!r}: '{part}' holds {inner!r}, which has no keys")
            place = inner
        place[last] = _scalar(value)
    return tree


def _default(config: type[Strict] | None, name: str) -> str | None:
    field = config.model_fields.get(name) if config else None
    return field.default if field and isinstance(field.default, str) else None


def resolved(prepared: Prepared) -> dict[str, Any]:
    """Return the resolved config as ``config.yaml`` holds it: a one-step recipe."""
    return {"uses": prepared.step.kind, **prepared.config.model_dump(mode="json")}


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return value


def _scalar(text: str) -> Any:
    from galshift.recipes.loader import parse_scalar

    return parse_scalar(text)
