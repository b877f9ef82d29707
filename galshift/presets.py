"""Named YAML files of one kind: those that come with galshift, those of other packages, and a user's own.

Surveys and the settings of published systems are such files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galshift import console
from galshift.bounds import plain_file
from galshift.errors import ConfigError, DataError, did_you_mean
from galshift.registry import entry_points, load_plugin, source_file

if TYPE_CHECKING:
    from pydantic import BaseModel

_MOST_BYTES = 1_000_000


class Presets:
    """The YAML files in a package of galshift's, with what other packages add to them.

    Parameters
    ----------
    package : str
        The package that they lie in; its name is the entry-point group too.
    folder : Path
        Of that package.
    kind : str
        What one of them is called, in messages.
    schema : callable
        Returns the model that a file must satisfy; called when the first one is read.
    """

    def __init__(self, package: str, folder: Path, kind: str, schema: Callable[[], type[BaseModel]]) -> None:
        self.package, self.folder, self.kind, self._schema = package, folder, kind, schema
        self._parse = lru_cache(maxsize=64)(self._parsed)

    def names(self) -> list[str]:
        """Return the names of all that come with galshift or another package, sorted."""
        return sorted({*self._own(), *self._plugins()})

    def available(self) -> list[str]:
        """Return the names that can be used; a broken one of another package is named on stderr."""
        return [name for name in self.names() if name in self._own() or self._works(name)]

    def summary(self, name: str) -> str:
        """Return the one-line summary without validating anything; empty where it cannot be read."""
        try:
            found = self._found(name)
        except ConfigError:
            return ""
        if isinstance(found, Mapping):
            return str(found.get("summary", ""))
        for line in found.read_text(encoding="utf-8").splitlines():
            if line.startswith("summary:"):
                return line.removeprefix("summary:").strip().strip("\"'")
        return ""

    def load(self, name: str | Path) -> Any:
        """Return what is called `name`, or stands in the user's own YAML file `name`.

        Raises
        ------
        ConfigError
            When there is none, or it states something impossible (all problems at once).
        """
        found = self._found(str(name))
        if isinstance(found, Mapping):
            return self._checked(found, str(name))
        return self._parse(found, found.stat().st_mtime_ns)

    def _found(self, name: str) -> Path | Mapping[str, Any]:
        if name.endswith((".yaml", ".yml")):
            if not Path(name).is_file():
                raise ConfigError(f"there is no such {self.kind} file", where=name)
            return Path(name)
        if name in self._own():
            return self.folder / f"{name}.yaml"
        if name in self._plugins():
            return self._plugin(name)
        hint = did_you_mean(name, self.names()) + ", or a YAML file of yours"
        raise ConfigError(f"unknown {self.kind} '{name}'", hint=hint)

    def _own(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.yaml"))

    def _plugins(self) -> dict[str, metadata.EntryPoint]:
        own = set(self._own())
        return {point.name: point for point in entry_points(self.package) if point.name not in own}

    def _plugin(self, name: str) -> Mapping[str, Any] | Path:
        """Return what another package names: a mapping, or the path of a file.

        Raises
        ------
        ConfigError
            When it cannot be imported, or there is no such file.
        """
        point = self._plugins()[name]
        if point.attr:
            found = load_plugin(self.kind, point)
            if isinstance(found, Mapping):
                return found
            path = Path(str(found))
        else:
            source = source_file(point.module)
            path = (source.parent if source else Path(point.module)) / f"{name}.yaml"
        if not path.is_file():
            package = point.dist.name if point.dist else point.module
            raise ConfigError(
                f"the {self.kind} '{name}' of the package {package} is no mapping, and there is no file "
                f"{path}"
            )
        return path

    def _works(self, name: str) -> bool:
        try:
            self._plugin(name)
        except ConfigError as error:
            console.warn(f"{error.what}; '{name}' is left out")
            return False
        return True

    def _parsed(self, path: Path, changed: int) -> Any:
        """Read a file; `changed`, its time, makes an edited file a new one."""
        from galshift.plain_yaml import NotPlain, load_plain

        try:
            if plain_file(path) > _MOST_BYTES:
                what = f"this file is too large for a {self.kind} file: {_MOST_BYTES} bytes are the limit"
                raise ConfigError(what, where=path)
            values = load_plain(path.read_text(encoding="utf-8"))
        except DataError as error:
            raise ConfigError(error.what, where=path) from None
        except UnicodeDecodeError:
            raise ConfigError(f"the {self.kind} file is not UTF-8 text", where=path) from None
        except NotPlain as error:
            where = f"{path}:{error.line}" if error.line else path
            raise ConfigError(
                f"the {self.kind} file is not valid YAML: {error.problem}", where=where
            ) from None
        return self._checked(values, path)

    def _checked(self, values: Any, where: Path | str) -> Any:
        """Return the model of `values`; every problem is named at once."""
        from pydantic import ValidationError

        try:
            return self._schema().model_validate(values)
        except ValidationError as error:
            problems = [
                f"{'.'.join(str(p) for p in one['loc']) or self.kind}: {one['msg']}" for one in error.errors()
            ]
            raise ConfigError(
                f"the {self.kind} file is invalid: {'; '.join(problems)}",
                where=where,
                hint="compare with one that comes with galshift",
                problems=problems,
            ) from None
