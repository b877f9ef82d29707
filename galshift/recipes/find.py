"""Where recipes come from: a file that the user names, or the ones that galshift ships."""

from __future__ import annotations

import re
from pathlib import Path

import galshift
from galshift.errors import ConfigError, DataError, did_you_mean
from galshift.provenance import atomic_path, remove_dead_parts


def shipped_folder() -> Path:
    """Return the folder of the shipped recipes: inside the package, or beside it in a checkout."""
    package = Path(galshift.__file__).parent
    installed = package / "_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped() -> dict[str, Path]:
    """Return the shipped recipes by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def find_recipe(text: str) -> tuple[Path, Path | None]:
    """Return the file that `text` names, and the base folder of its results (None: the file's own).

    A path wins over the name of a shipped recipe, whose results stand in the working directory.

    Raises
    ------
    ConfigError
        When there is neither.
    """
    path = Path(text)
    if path.is_file():
        return path, None
    if text in shipped():
        return shipped()[text], Path()
    hint = did_you_mean(text, shipped())
    raise ConfigError(
        "there is no such recipe file, and galshift ships none of this name", where=text, hint=hint
    )


def as_typed(path: Path) -> str:
    """Return what to type for the recipe at `path`: its name where galshift ships it."""
    return path.stem if path.parent == shipped_folder() else str(path)


def shipped_recipe(name: str) -> Path:
    """Return the file of the shipped recipe `name`; raises ConfigError when there is none."""
    if name not in shipped():
        raise ConfigError(f"galshift ships no recipe '{name}'", hint=did_you_mean(name, shipped()))
    return shipped()[name]


def copy_recipe(name: str, destination: str | Path | None = None) -> Path:
    """Copy the shipped recipe `name` to `destination` (a file or folder; default here), never over a file.

    Raises
    ------
    DataError
        When a file stands there already.
    """
    source = shipped_recipe(name)
    target = Path(destination or ".")
    if target.is_dir() or str(destination or "").endswith("/"):
        target = target / source.name
    remove_dead_parts(target)
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return target
    if target.exists():
        raise DataError("a file of this name is there already", where=target, hint="give another destination")
    with atomic_path(target) as temporary:
        temporary.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return target


def summary(path: Path) -> str:
    """Return the first line of a recipe's ``description``, or its first comment, without parsing YAML."""
    text = path.read_text(encoding="utf-8")
    for pattern in (
        r"^description:[ \t]*[>|][+-]?[ \t]*\n[ \t]+(.+)$",
        r"^description:[ \t]*(.+)$",
        r"^# (.+)$",
    ):
        found = re.search(pattern, text, re.MULTILINE)
        if found and not found.group(1).startswith("yaml-language-server"):
            return found.group(1).strip().strip("\"'")
    return ""
