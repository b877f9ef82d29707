"""A config field that holds one registered thing and that thing's own options: ``{kind: mmd, weight: 0.5}``.

::

    class Config(Strict):
        method: Annotated[Chosen, ChoiceOf("galshift.methods", "METHODS")] = "sinkhorn"

accepts ``mmd`` or ``{kind: mmd, weight: 0.5}``, refuses unknown names and options with the nearest right
spelling, and gives ``config.method.kind`` and ``config.method.config`` (the method's own frozen config).
Only the thing that was chosen is imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema

from galshift.errors import ConfigError, did_you_mean
from galshift.registry import Registry
from galshift.types import Chosen, Strict
from galshift.verbs._problems import explain, misspelt, unknown_key


@dataclass(frozen=True)
class ChoiceOf:
    """Annotation of a field that holds a `Chosen` from the registry ``module.attribute``.

    Attributes
    ----------
    module, attribute : str
    also : tuple of (str, type)
        Further names with their configs, for a choice that is no registered thing.
    path : str
        Name of the thing that a file or folder stands for, given to it as ``path``; "" for none.
    """

    module: str
    attribute: str
    also: tuple[tuple[str, type[Strict]], ...] = ()
    path: str = ""

    def registry(self) -> Registry:
        """Return the registry that the field chooses from."""
        return getattr(importlib.import_module(self.module), self.attribute)

    def choose(self, value: Any) -> Chosen:
        """Return `value`, a name or a mapping with ``kind``, as a checked `Chosen`."""
        if isinstance(value, Chosen):
            return value
        if isinstance(value, str) and not self._is_path(value):
            return Chosen(value, self._config(value, {}, ()))
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            raise _nested([((), f"must be a name, or keys with 'kind', not {value!r}")])
        if not isinstance(value.get("kind"), str):
            wrong = misspelt("kind", (str(key) for key in value if key != "kind"))
            if wrong is not None and "kind" not in value:
                raise _nested([((wrong,), unknown_key(wrong, {"kind"}))])
            raise _nested([(("kind",), "this key is required: the name of what to use")])
        options = {key: item for key, item in value.items() if key != "kind"}
        kind = value["kind"]
        if self._is_path(kind):
            kind, options = self.path, {"path": kind, **options}
        return Chosen(kind, self._config(kind, options, ("kind",)))

    def _is_path(self, word: str) -> bool:
        """Whether `word` is no name but names a file or folder, which stands for the thing called `path`."""
        return bool(self.path) and word not in self.names() and ("/" in word or Path(word).exists())

    def _config(self, kind: str, options: Mapping[str, Any], place: tuple[str, ...]) -> Strict:
        model = self._model(kind, place)
        try:
            return model.model_validate(dict(options))
        except ValidationError as error:
            allowed = {"kind", *model.model_fields}
            problems = [
                (
                    where,
                    unknown_key(str(where[0]), allowed)
                    if len(where) == 1 and where[0] not in allowed
                    else text,
                )
                for where, text in explain(error, model)
            ]
            raise _nested(problems) from None

    def names(self) -> list[str]:
        """Return every name that may be chosen."""
        return sorted({*self.registry().names(), *dict(self.also)})

    def _model(self, kind: str, place: tuple[str, ...] = ()) -> type[Strict]:
        """The config of what is called `kind`."""
        if kind in dict(self.also):
            return dict(self.also)[kind]
        try:
            thing = self.registry().get(kind)
        except ConfigError as error:
            hint = did_you_mean(kind, self.names()) if self.also else error.hint
            raise _nested([(place, f"{error.what} ({hint})")]) from None
        return getattr(thing, "Config", Strict)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validate with `choose`, serialise with `Chosen.dump`."""
        return core_schema.no_info_plain_validator_function(
            self.choose, serialization=core_schema.plain_serializer_function_ser_schema(Chosen.dump)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe every registered name with its own options, for editors."""
        registry = self.registry()
        names = sorted({*registry.available(), *dict(self.also)})
        branches: list[dict[str, Any]] = [{"enum": names}]
        for name in names:
            inner = self._model(name).model_json_schema()
            inner["properties"] = {"kind": {"const": name}, **inner.get("properties", {})}
            inner["required"] = ["kind", *inner.get("required", [])]
            inner.pop("title", None)
            extra = dict(self.also).get(name)
            summary = registry.summary(name) if extra is None else (extra.__doc__ or "").split("\n")[0]
            branches.append({**inner, "description": summary})
        return {"anyOf": branches}


def _nested(problems: list[tuple[tuple[str | int, ...], str]]) -> PydanticCustomError:
    text = "; ".join(sentence for _, sentence in problems)
    return PydanticCustomError("nested", "{text}", {"text": text, "problems": problems})
