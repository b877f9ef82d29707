"""The JSON schema of recipes, for editors: every verb, every key, every registered name."""

from __future__ import annotations

from typing import Any

from galshift.data.card import DataCard
from galshift.data.public import names as public_names
from galshift.recipes.schema import DATA, SCALES, Expect, Head
from galshift.verbs import STEPS

DRAFT = "http://json-schema.org/draft-07/schema#"
_SCALE = {"enum": list(SCALES), "description": "It is there at this scale alone."}


def recipe_schema() -> dict[str, Any]:
    """Return the schema; importing every step and everything that steps can choose."""
    head = Head.model_json_schema()
    definitions: dict[str, Any] = {"Expect": Expect.model_json_schema(), **head.pop("$defs", {})}
    branches = []
    for name in STEPS.available():
        definitions[name] = _step_schema(name, definitions)
        branches.append({"$ref": f"#/$defs/{name}"})
    card = DataCard.model_json_schema()
    card["properties"] |= {"at": _SCALE, "fetch": {"enum": public_names()}, "put": {"type": "string"}}
    definitions["DataCard"] = card
    head["properties"][DATA]["additionalProperties"] = {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/DataCard"}],
    }
    head["properties"]["steps"]["additionalProperties"] = {
        "required": ["uses"],
        "properties": {"uses": {"enum": STEPS.available()}},
        "anyOf": branches,
    }
    return {"$schema": DRAFT, **head, "title": "galshift recipe", "$defs": definitions}


def _step_schema(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = STEPS.get(name).Config.model_json_schema()
    definitions.update(schema.pop("$defs", {}))
    reference = {"type": "string", "pattern": r"^([^=${}]+=)?\$\{[^}]+\}$"}
    properties = {key: _or_reference(value, reference) for key, value in schema.get("properties", {}).items()}
    extra = {
        "uses": {"const": name},
        "expect": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Expect"}},
    }
    full = {
        "type": "object",
        "description": "What goes before the values beside it at full scale.",
        "properties": {"expect": extra["expect"], **properties},
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "description": STEPS.summary(name),
        "properties": {**extra, "at": _SCALE, "full": full, **properties},
        "required": ["uses", *schema.get("required", [])],
        "additionalProperties": False,
    }


def _or_reference(value: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """Return a key's schema that also accepts ``${step}`` or ``${matrix.axis}``."""
    kept = {key: value[key] for key in ("description", "default", "title") if key in value}
    plain = {key: item for key, item in value.items() if key not in kept}
    return {**kept, "anyOf": [plain, reference]}
