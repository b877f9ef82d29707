"""What a published system's settings are to a verb: values under those that are given, and what is told.

A config with a field ``settings`` derives from :class:`WithSettings`.  Everything that makes such a config
(the command line, recipes, Python) then takes them, and the config itself holds every single value, so that a
run stays what it was when the file changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, field_validator, model_validator

from galshift import settings
from galshift.errors import ConfigError
from galshift.types import Chosen, Strict
from galshift.verbs._options import option


def _named(schema: dict[str, Any]) -> None:
    """Offer the names to editors; a file of one's own is a path that ends in .yaml."""
    text = {"anyOf": [{"enum": settings.available()}, {"type": "string", "pattern": r"\.ya?ml$"}]}
    schema["anyOf"] = [text, {"type": "null"}]


class WithSettings(Strict):
    """A config whose values may come from the settings of a published system."""

    settings: str | None = Field(
        None,
        description="Network, stretch, augmentation, optimiser, ... as a published system has them; single "
        "options win over it. See galshift list settings.",
        json_schema_extra=_named,
    )

    @field_validator("settings")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                settings.load(name)
        except ConfigError as error:
            raise ValueError(f"{error.what} ({error.hint})" if error.hint else error.what) from None
        return name

    @model_validator(mode="before")
    @classmethod
    def _settle(cls, values: Any) -> Any:
        """Put what was given over what the settings say."""
        if not isinstance(values, Mapping) or not isinstance(values.get("settings"), str):
            return values
        try:
            tree = settings.load(values["settings"]).tree()
        except ConfigError:
            return values  # the field itself says why
        return _over({key: tree[key] for key in tree if key in cls.model_fields}, values)


def _over(under: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `under` with `given` put over it, key by key; another kind of thing brings its own options."""
    found = dict(under)
    for key, value in given.items():
        old = found.get(key)
        if isinstance(value, BaseModel):
            value = value.model_dump(exclude_unset=True)
        if isinstance(old, Mapping) and "kind" in old and isinstance(value, str):
            value = {"kind": value}
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        found[key] = _over(old, value) if both and _same_kind(old, value) else value
    return found


def _same_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return new.get("kind", old.get("kind")) == old.get("kind")


SETTINGS = option("settings", names=("galshift.settings", ""), metavar="NAME|FILE")


def settings_document(config: WithSettings) -> dict[str, Any]:
    """Return what the settings of `config` changed, JSON-able; empty where it has none.

    Returns
    -------
    dict
        ``settings``: ``name``, ``summary``, ``differs`` (key, value, galshift's default, source, verified),
        ``overridden`` (key, published value, value used) and ``missing`` (what could not be asked for).
    """
    if config.settings is None:
        return {}
    found = settings.load(config.settings)
    differs, overridden = [], []
    for key, value in found.values.items():
        if key.split(".")[0] not in type(config).model_fields:
            continue
        used = _at(config, key)
        if used is not _ABSENT and _plain(used) == _plain(value.value):
            ours = _default(config, key)
            if _plain(used) != _plain(ours):
                source = f"{value.source} {value.place}".strip()
                differs.append([key, _plain(used), _plain(ours), source, value.verified])
        else:
            overridden.append([key, _plain(value.value), None if used is _ABSENT else _plain(used)])
    return {
        "settings": {
            "name": found.name,
            "summary": found.summary,
            "sources": dict(found.sources),
            "differs": differs,
            "overridden": overridden,
            "missing": [one.what for one in found.missing],
        }
    }


_ABSENT = object()


def _at(config: BaseModel, key: str) -> Any:
    """The value at a key path; `_ABSENT` where another kind of thing has no such option."""
    place: Any = config
    for part in key.split("."):
        if isinstance(place, Chosen) and part != "kind":
            place = place.config
        if not hasattr(place, part):
            return _ABSENT
        place = getattr(place, part)
    return place


def _default(config: BaseModel, key: str) -> Any:
    """Galshift's own value at a key path; an option of a network or method has that of the one in use."""
    first, *rest = key.split(".")
    default = type(config).model_fields[first].get_default(call_default_factory=True)
    chosen = getattr(config, first)
    if not isinstance(chosen, Chosen):
        return _at(default, ".".join(rest)) if rest else default
    if rest == ["kind"]:
        return default if isinstance(default, str) else default.kind
    return type(chosen.config).model_fields[rest[0]].get_default(call_default_factory=True)


def _plain(value: Any) -> Any:
    """Tuples as lists, as JSON and YAML have them."""
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def settings_lines(document: Mapping[str, Any]) -> list[str]:
    """Return what results say of settings, as lines for people."""
    said = document.get("settings")
    if not said:
        return []
    lines = [f"settings {said['name']}: " + _sentence(said["differs"], "differ from galshift's defaults")]
    if said["overridden"]:
        lines.append("settings overridden: " + _pairs(said["overridden"], "for"))
    return lines


def _sentence(rows: list[list[Any]], what: str) -> str:
    if not rows:
        return f"no values {what}"
    return f"{len(rows)} values {what}: " + ", ".join(
        f"{key} {_word(new)} for {_word(old)}" for key, new, old, *_ in rows
    )


def _pairs(rows: list[list[Any]], word: str) -> str:
    return ", ".join(f"{key} {_word(used)} {word} {_word(published)}" for key, published, used in rows)


def _word(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)).join("[]") if isinstance(value, list) else str(value)
