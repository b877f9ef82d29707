"""Find things (methods, models, readers, ...) by name: one file each, imported only when asked for.

The name of a thing is the name of its file with underscores as hyphens (``cdan_e.py`` is ``cdan-e``), so that
names, help texts and shell completion never import torch.  A module defines its thing with the decorator
``@REGISTRY.register``; files whose name begins with an underscore are helpers and are not listed.

A package outside galshift adds a thing by an entry point in the group of the same name, such as in its
``pyproject.toml``::

    [project.entry-points."galshift.methods"]
    toy-pull = "toy_package.pull:ToyPull"

A plug-in that cannot be imported is named on stderr and left out of lists; nothing else depends on it.
"""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import machinery, metadata, util
from pathlib import Path
from typing import Any, TypeVar

from galshift import console
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
        self._named: set[str] = set()

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
        """Return every name, sorted, without importing a module: a plug-in may turn out to be broken."""
        return sorted({*self._modules(), *self.plugins(), *self._things})

    def available(self) -> list[str]:
        """Return every name that can be used, sorted: plug-ins are imported, and broken ones left out.

        Each broken one is named on stderr, once.
        """
        return [name for name in self.names() if name not in self.plugins() or self._works(name)]

    def get(self, name: str) -> Any:
        """Return the thing called `name`.

        Raises
        ------
        ConfigError
            When there is no such thing (the hint names the closest), or its plug-in cannot be imported.
        """
        if name not in self._things:
            if name in self._modules():
                importlib.import_module(self._modules()[name])
            elif name in self.plugins():
                self._things.setdefault(name, load_plugin(self.kind, self.plugins()[name]))
        if name not in self._things:
            raise ConfigError(f"unknown {self.kind} '{name}'", hint=did_you_mean(name, self.names()))
        return self._things[name]

    def summary(self, name: str) -> str:
        """Return the first line of the docstring of the file that holds `name`, without importing it.

        For a plug-in, the first line of what its entry point names, or else of its file.
        """
        module = self._modules().get(name)
        if module:
            spec = util.find_spec(module)
            return docstring(Path(spec.origin)) if spec and spec.origin else ""
        if name in self.plugins() and name not in self._things:
            point = self.plugins()[name]
            path = source_file(point.module)
            return docstring(path, point.attr) if path else ""
        thing = self.get(name)
        own = getattr(thing, "summary", None)  # of a thing that is a row, not a file
        return own if isinstance(own, str) else (getattr(thing, "__doc__", None) or "").strip().split("\n")[0]

    def plugins(self) -> dict[str, metadata.EntryPoint]:
        """Return the entry points of other packages by name; what galshift ships keeps its names."""
        own = self._modules()
        return {point.name: point for point in entry_points(self.package) if point.name not in own}

    def _works(self, name: str) -> bool:
        try:
            self.get(name)
        except ConfigError as error:
            if name not in self._named:
                self._named.add(name)
                console.warn(f"{error.what}; it is left out")
            return False
        return True

    def _modules(self) -> dict[str, str]:
        spec = util.find_spec(self.package)
        paths = tuple(spec.submodule_search_locations or ()) if spec else ()
        return {
            name.replace("_", "-"): f"{self.package}.{name}"
            for name in _module_names(paths)
            if not name.startswith("_") and name not in self.exclude
        }


def entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """Return what other packages add to `group`, looked up again only when packages have come or gone."""
    return _entry_points(group, tuple((place, _changed(place)) for place in sys.path))


@lru_cache(maxsize=64)
def _entry_points(group: str, places: tuple[tuple[str, int], ...]) -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=group))


def _changed(place: str) -> int:
    """When something was last put into, or taken out of, a folder of packages; 0 where there is none."""
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _module_names(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the modules in some folders of galshift's own, which stay as they are."""
    return tuple(info.name for info in pkgutil.iter_modules(list(folders)))


def load_plugin(kind: str, point: metadata.EntryPoint) -> Any:
    """Return what an entry point names.

    Raises
    ------
    ConfigError
        When it cannot be imported, whatever its own code raises; the sentence names the package.
    """
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        package = point.dist.name if point.dist else point.module
        said = " ".join(str(error).split()) or "no reason given"
        raise ConfigError(
            f"the {kind} '{point.name}' of the package {package} cannot be imported "
            f"({type(error).__name__}: {said})",
            hint=f"pip install --upgrade {package}, or pip uninstall {package}",
        ) from error


def source_file(module: str) -> Path | None:
    """Return the file of a module without importing it or its packages; None where there is none to read."""
    top, *parts = module.split(".")
    spec = machinery.PathFinder.find_spec(top)
    for i in range(len(parts)):
        if spec is None or not spec.submodule_search_locations:
            return None
        spec = machinery.PathFinder.find_spec(
            ".".join([top, *parts[: i + 1]]), list(spec.submodule_search_locations)
        )
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    return path if path.suffix == ".py" and path.is_file() else None


def docstring(path: Path, name: str = "") -> str:
    """Return the first line of the docstring of a file, or of the class or function `name` in it."""
    try:
        text = path.read_text(encoding="utf-8")
        first = text[3:].split("\n")[0].removesuffix('"""').strip() if text.startswith('"""') else ""
        if first and not name:
            return first  # in a tenth of the time that parsing takes
        tree = ast.parse(text)
    except (SyntaxError, UnicodeDecodeError):
        return ""
    kinds = (ast.ClassDef, ast.FunctionDef)
    named = [node for node in tree.body if isinstance(node, kinds) and node.name == name]
    text = (ast.get_docstring(named[0]) if named else None) or ast.get_docstring(tree) or ""
    return text.split("\n")[0]


def lazily(package: str, public: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``, so that its public names cost nothing until they are used.

    With it ``from galshift.methods import Method`` works, and a list of the methods does not import torch.

    Parameters
    ----------
    package : str
        The module whose names they are to be.
    public : mapping of str to sequence of str
        The module that defines them, and their names.
    """
    where = {name: module for module, names in public.items() for name in names}

    def attribute(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value = getattr(importlib.import_module(where[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return attribute


def _origin(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', thing)}"
