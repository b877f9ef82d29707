"""Find things (methods, models, readers, ...) by name: one file each, imported only when asked for.

The name of a thing is the name of its file with underscores as hyphens (``cdan_e.py`` is ``cdan-e``), so that
names, help texts and shell completion never import torch.  A module defines its thing with the decorator
``@REGISTRY.register``; files whose name begins with an underscore are helpers and are not listed.  Packages
outside galshift add theirs by an entry point in the group of the same name (``galshift.methods``, ...).
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any, TypeVar

from galshift.errors import ConfigError, did_you_mean

T = TypeVar("T")


class Registry:
    """The named things of one kind.

    Parameters
    ----------
    kind : str
        The singular that messages use, such as ``method``.
    package : str
        The package whose modules are the things, also the entry-point group.
    exclude : tuple of str
        Module names (not thing names) in the package that are not things.
    """

    def __init__(self, kind: str, package: str, exclude: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.package = package
        self.exclude = frozenset(exclude)
        self._things: dict[str, Any] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Register the decorated class or function as `name`; a second thing of that name is refused."""

        def decorate(thing: T) -> T:
            known = self._things.get(name)
            if known is not None and _origin(known) != _origin(thing):
                raise ConfigError(
                    f"two {self.kind}s are called '{name}': {_origin(known)} and {_origin(thing)}"
                )
            self._things[name] = thing
            return thing

        return decorate

    def names(self) -> list[str]:
        """Return every name, sorted, without importing a module."""
        return sorted({*self._modules(), *self._entry_points(), *self._things})

    def get(self, name: str) -> Any:
        """Return the thing called `name`.

        Raises
        ------
        ConfigError
            When there is no such thing; the hint names the closest.
        """
        if name not in self._things:
            if name in self._modules():
                importlib.import_module(self._modules()[name])
            elif name in self._entry_points():
                self._things.setdefault(name, self._entry_points()[name].load())
        if name not in self._things:
            raise ConfigError(f"unknown {self.kind} '{name}'", hint=did_you_mean(name, self.names()))
        return self._things[name]

    def summary(self, name: str) -> str:
        """Return the first line of the docstring of the file that holds `name`, without importing it."""
        module = self._modules().get(name)
        spec = util.find_spec(module) if module else None
        if spec is None or spec.origin is None:
            thing = self.get(name)
            own = getattr(thing, "summary", None)  # of a thing that is a row, not a file
            return (
                own
                if isinstance(own, str)
                else (getattr(thing, "__doc__", None) or "").strip().split("\n")[0]
            )
        text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
        return text.split("\n")[0]

    def _modules(self) -> dict[str, str]:
        spec = util.find_spec(self.package)
        paths = list(spec.submodule_search_locations or ()) if spec else []
        return {
            info.name.replace("_", "-"): f"{self.package}.{info.name}"
            for info in pkgutil.iter_modules(paths)
            if not info.name.startswith("_") and info.name not in self.exclude
        }

    def _entry_points(self) -> dict[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=self.package)}


def _origin(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', thing)}"
