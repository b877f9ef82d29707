"""Settings of published systems by name: one YAML file each, every value with its source.

>>> from galshift import settings
>>> settings.load("sidda").tree()["training"]["lr"]
0.01

Settings are values for options of `train` and `adapt`; what is said singly wins over them.

Adding one
----------
Settings are a YAML file with the keys of :class:`Settings`; ``sidda.yaml`` of this folder is a whole example
and can be copied.  A file of your own is used by its path (``--settings mine.yaml``).  In a package of its
own it is named by an entry point, and is then listed and used like those that come with galshift::

    [project.entry-points."galshift.settings"]
    mine = "your_package.settings"

The module or package holds the file ``mine.yaml``.  Raise ``version`` whenever a value changes.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from galshift import console
from galshift.bounds import plain_file
from galshift.errors import ConfigError, DataError, did_you_mean
from galshift.registry import lazily, source_file

if TYPE_CHECKING:
    from galshift.settings.schema import Settings

_FOLDER = Path(__file__).parent
_MOST_BYTES = 1_000_000

__all__ = ["Settings", "available", "load", "names", "summary"]
__getattr__ = lazily(__name__, {"galshift.settings.schema": ("Settings",)})


def names() -> list[str]:
    """Return the names of the settings that come with galshift or another package, sorted."""
    return sorted({*_own(), *_plugins()})


def available() -> list[str]:
    """Return the names of the settings that can be used, sorted.

    What another package names but has no file for is named on stderr and left out.
    """
    return [name for name in names() if name in _own() or _works(name)]


def summary(name: str) -> str:
    """Return the one-line summary of settings without validating them; empty where it cannot be read."""
    try:
        path = _path(name)
    except ConfigError:
        return ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("summary:"):
            return line.removeprefix("summary:").strip().strip("\"'")
    return ""


def load(name: str | Path) -> Settings:
    """Return the settings called `name`, or those in the user's own YAML file `name`.

    Raises
    ------
    ConfigError
        When there are no such settings, or when the file states something impossible (all problems at once).
    """
    path = _path(str(name))
    return _parse(path, path.stat().st_mtime_ns)


def _path(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ConfigError("there is no such settings file", where=name)
        return Path(name)
    if name in _own():
        return _FOLDER / f"{name}.yaml"
    if name in _plugins():
        return _plugin(name)
    raise ConfigError(
        f"unknown settings '{name}'", hint=did_you_mean(name, names()) + ", or a YAML file of yours"
    )


def _own() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def _plugins() -> dict[str, metadata.EntryPoint]:
    own = set(_own())
    return {point.name: point for point in metadata.entry_points(group=__name__) if point.name not in own}


def _plugin(name: str) -> Path:
    point = _plugins()[name]
    source = source_file(point.module)
    path = (source.parent if source else Path(point.module)) / f"{name}.yaml"
    if not path.is_file():
        package = point.dist.name if point.dist else point.module
        raise ConfigError(f"the settings '{name}' of the package {package} have no file {path}")
    return path


def _works(name: str) -> bool:
    try:
        _plugin(name)
    except ConfigError as error:
        console.warn(f"{error.what}; they are left out")
        return False
    return True


@lru_cache(maxsize=64)
def _parse(path: Path, changed: int) -> Settings:
    """Read a file; `changed`, its time, makes an edited file a new one."""
    from pydantic import ValidationError

    from galshift.plain_yaml import NotPlain, load_plain
    from galshift.settings.schema import Settings

    try:
        if plain_file(path) > _MOST_BYTES:
            what = f"this file is too large to hold settings: {_MOST_BYTES} bytes are the limit"
            raise ConfigError(what, where=path)
        values = load_plain(path.read_text(encoding="utf-8"))
        return Settings.model_validate(values)
    except DataError as error:
        raise ConfigError(error.what, where=path) from None
    except UnicodeDecodeError:
        raise ConfigError("the settings file is not UTF-8 text", where=path) from None
    except NotPlain as error:
        where = f"{path}:{error.line}" if error.line else path
        raise ConfigError(f"the settings file is not valid YAML: {error.problem}", where=where) from None
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc']) or 'settings'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(
            f"the settings are invalid: {'; '.join(problems)}",
            where=path,
            hint="compare with sidda.yaml, which comes with galshift",
            problems=problems,
        ) from None
