"""Survey presets: one YAML file each, every number with its unit, its source and whether it was verified.

>>> from galshift import surveys
>>> survey = surveys.load("lsst-y10")
>>> survey.bands["r"].depth.value

Adding one
----------
A preset is a YAML file with the keys of :class:`Survey`; ``lsst-y10.yaml`` of this folder is a whole
example and can be copied.  A file of your own is used by its path (``--survey my-camera.yaml``).  In a
package of its own a preset is named by an entry point, and is then listed and used like those that come with
galshift::

    [project.entry-points."galshift.surveys"]
    my-camera = "your_package.surveys"

The module or package holds the file ``my-camera.yaml``.  An entry point may also name a mapping with the
same keys (``my-camera = "your_package.surveys:MY_CAMERA"``), or the path of a file.  Raise the preset's
``version`` whenever its numbers change.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galshift import console
from galshift.bounds import plain_file
from galshift.errors import ConfigError, DataError, did_you_mean
from galshift.registry import entry_points, lazily, load_plugin, source_file

if TYPE_CHECKING:
    from galshift.surveys.schema import Survey

_FOLDER = Path(__file__).parent

__all__ = ["Survey", "available", "load", "names", "summary"]
__getattr__ = lazily(__name__, {"galshift.surveys.schema": ("Survey",)})


def names() -> list[str]:
    """Return the names of the presets that come with galshift or another package, sorted."""
    return sorted({*_own(), *_plugins()})


def available() -> list[str]:
    """Return the names of the presets that can be used, sorted.

    What another package names but cannot be found or read is named on stderr and left out.
    """
    return [name for name in names() if name in _own() or _works(name)]


def summary(name: str) -> str:
    """Return the one-line summary of a preset without validating it; empty where it cannot be read."""
    if name not in _own():
        try:
            return _summary_of(_plugin(name))
        except ConfigError:
            return ""
    return _summary_of(_FOLDER / f"{name}.yaml")


def load(name: str | Path) -> Survey:
    """Return the preset called `name`, or the one in the user's own YAML file `name`.

    Raises
    ------
    ConfigError
        When there is no such preset or file, or when it states something impossible (all problems at once).
    """
    text = str(name)
    own = Path(text)
    if text.endswith((".yaml", ".yml")):
        if not own.is_file():
            raise ConfigError("there is no such survey file", where=own)
        return _parse(own, own.stat().st_mtime_ns)
    if text in _own():
        path = _FOLDER / f"{text}.yaml"
        return _parse(path, path.stat().st_mtime_ns)
    if text in _plugins():
        found = _plugin(text)
        return (
            _checked(found, text) if isinstance(found, Mapping) else _parse(found, found.stat().st_mtime_ns)
        )
    raise ConfigError(
        f"unknown survey '{text}'", hint=did_you_mean(text, names()) + ", or a YAML file of yours"
    )


def _own() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def _plugins() -> dict[str, metadata.EntryPoint]:
    own = set(_own())
    return {point.name: point for point in entry_points(__name__) if point.name not in own}


def _plugin(name: str) -> Mapping[str, Any] | Path:
    """Return the preset of another package: its keys, or its file.

    Raises
    ------
    ConfigError
        When it cannot be imported, or there is no such file.
    """
    point = _plugins()[name]
    if point.attr:
        found = load_plugin("survey", point)
        if isinstance(found, Mapping):
            return found
        path = Path(str(found))
    else:
        source = source_file(point.module)
        path = (source.parent if source else Path(point.module)) / f"{name}.yaml"
    if not path.is_file():
        package = point.dist.name if point.dist else point.module
        raise ConfigError(
            f"the survey '{name}' of the package {package} is no mapping, and there is no file {path}"
        )
    return path


def _works(name: str) -> bool:
    try:
        _plugin(name)
    except ConfigError as error:
        console.warn(f"{error.what}; it is left out")
        return False
    return True


def _summary_of(preset: Mapping[str, Any] | Path) -> str:
    if isinstance(preset, Mapping):
        return str(preset.get("summary", ""))
    for line in preset.read_text(encoding="utf-8").splitlines():
        if line.startswith("summary:"):
            return line.removeprefix("summary:").strip().strip("\"'")
    return ""


_MOST_BYTES = 1_000_000


@lru_cache(maxsize=64)
def _parse(path: Path, changed: int) -> Survey:
    """Read a preset; `changed`, the file's time, makes an edited file a new one."""
    from galshift.plain_yaml import NotPlain, load_plain

    try:
        if plain_file(path) > _MOST_BYTES:
            what = f"this file is too large to be a survey's: {_MOST_BYTES} bytes are the limit"
            raise ConfigError(what, where=path)
        values = load_plain(path.read_text(encoding="utf-8"))
    except DataError as error:
        raise ConfigError(error.what, where=path) from None
    except UnicodeDecodeError:
        raise ConfigError("the survey file is not UTF-8 text", where=path) from None
    except NotPlain as error:
        where = f"{path}:{error.line}" if error.line else path
        raise ConfigError(f"the survey file is not valid YAML: {error.problem}", where=where) from None
    return _checked(values, path)


def _checked(values: Any, where: Path | str) -> Survey:
    """Return the preset that `values` state; every problem is named at once."""
    from pydantic import ValidationError

    from galshift.surveys.schema import Survey

    try:
        return Survey.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(str(p) for p in e['loc']) or 'survey'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(
            f"the survey preset is invalid: {'; '.join(problems)}",
            where=where,
            hint="compare with a preset that comes with galshift",
            problems=problems,
        ) from None
