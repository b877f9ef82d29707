"""What settings are: values of options, each with its source, and what of a system they cannot say."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from galshift.types import Strict

#: What settings may set, by the first part of the key; the data are never a system's.
SETTABLE = ("model", "method", "preprocess", "augment", "match_noise", "training")


class Value(Strict):
    """One published value of an option and where it comes from.

    ``verified`` is True only where the value was read at `place` of the source named.
    """

    value: Any = Field(description="As a recipe has it.")
    source: str = Field(description="A key of the file's `sources`.")
    place: str = Field("", description="File and line, section or table in the source.")
    verified: bool
    paper: Any = Field(None, description="What the paper says, where that is something else than its code.")
    note: str = ""


class Missing(Strict):
    """What a system does and these settings cannot ask for."""

    what: str
    source: str
    place: str = ""


class Settings(Strict):
    """One published system as options of galshift; keys of `values` are key paths such as ``training.lr``."""

    name: str
    summary: str
    version: int = Field(1, ge=1, description="Raised when a value changes.")
    values: dict[str, Value] = Field(min_length=1)
    missing: list[Missing] = Field(default_factory=list)
    sources: dict[str, str]

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        problems = []
        for key, value in self.values.items():
            if key.split(".")[0] not in SETTABLE:
                problems.append(f"values.{key}: settings may set {', '.join(SETTABLE)}")
            if any(other.startswith(f"{key}.") for other in self.values):
                problems.append(f"values.{key}: there are keys below it; name it by {key}.kind")
            if value.source not in self.sources:
                problems.append(f"values.{key}: source '{value.source}' is not in `sources`")
        for number, item in enumerate(self.missing):
            if item.source not in self.sources:
                problems.append(f"missing.{number}: source '{item.source}' is not in `sources`")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def tree(self) -> dict[str, Any]:
        """Return the values nested as a recipe has them."""
        found: dict[str, Any] = {}
        for key, value in self.values.items():
            *parents, last = key.split(".")
            place = found
            for part in parents:
                place = place.setdefault(part, {})
            place[last] = value.value
        return found
