"""The files and folders that a recipe names, as it names them, and the same recipe with them elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from galshift.data.card import PATHS
from galshift.data.paths import split_pair
from galshift.errors import ConfigError
from galshift.recipes.inputs import entries, lookup
from galshift.recipes.loader import load_text
from galshift.recipes.references import parse, walk
from galshift.recipes.schema import Recipe
from galshift.verbs import STEPS

_FOLDER = "data"


def named_paths(recipe: Recipe) -> list[str]:
    """Return every path of `recipe` that is no reference, of pairs each part, in the order of the file."""
    found: list[str] = []
    for entry in recipe.data.values():
        if isinstance(entry, str):
            found += split_pair(entry)
        else:
            found += split_pair(entry.path)
            values = [getattr(entry, key) for key in PATHS]
            found += [value for value in values if isinstance(value, str) and _is_file(recipe, value)]
    for step in recipe.steps.values():
        for name in STEPS.get(step.uses).inputs:
            bare, optional = name.rstrip("?"), name.endswith("?")
            for _, text in entries(bare, lookup(step.values, bare)):
                if parse(text) is None and (not optional or _is_file(recipe, text)):
                    found += split_pair(text)
    return list(dict.fromkeys(found))


def leads_out(path: str) -> bool:
    """Return whether a path is absolute, or leads out of the folder that it starts from."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return os.path.isabs(path) or ".." in parts or path.startswith("~") or "://" in path


def outside(document: Any) -> list[str]:
    """Return every value of a recipe's steps and data that leads out of its folder, or to a network.

    Parameters
    ----------
    document : object
        The recipe's file as plain data; what only looks like a path counts too.
    """
    parts = (
        {key: document.get(key) for key in (_FOLDER, "steps", "matrix")}
        if isinstance(document, Mapping)
        else {}
    )
    texts = [
        value
        for place, value in walk(parts)
        if isinstance(value, str) and parse(value) is None and not _is_prose(place)
    ]
    paths = [part for text in texts for part in split_pair(text.rpartition("=")[2])]
    return list(dict.fromkeys(path for path in paths if leads_out(path)))


def _is_prose(place: tuple[str | int, ...]) -> bool:
    """Return whether words stand at a key path of a recipe: what belongs where, and whose figure one is."""
    own = place[3:] if place[2:3] == ("full",) else place[2:]
    in_data = place[0] == _FOLDER and len(place) == 3 and place[2] == "put"
    return in_data or (place[0] == "steps" and len(own) == 3 and (own[0], own[2]) == ("expect", "published"))


def portable(recipe: Recipe, text: str) -> tuple[str, dict[str, str]]:
    """Return the file of `recipe` with every path inside its own folder, and old to new paths.

    A path that leads out of the recipe's folder becomes ``data/<name>``; nothing else of the text changes.

    Parameters
    ----------
    recipe : Recipe
    text : str
        Its file.

    Raises
    ------
    ConfigError
        When a path stands in the file in a way that cannot be changed safely.
    """
    moved: dict[str, str] = {}
    for path in named_paths(recipe):
        new = path
        if leads_out(path):
            slash = "/" * path.endswith(os.sep)
            new = _free(f"{_FOLDER}/{Path(path).name or 'files'}", moved.values()) + slash
        moved[path] = new
    changed = text
    for path in sorted((old for old, new in moved.items() if old != new), key=len, reverse=True):
        whole = rf"(?<![\w./~-]){re.escape(path)}(?![\w/.-])"
        changed = re.sub(whole, lambda _, new=moved[path]: new, changed)
    wanted = _replaced(load_text(text).data, moved)
    if load_text(changed).data != wanted:
        far = ", ".join(old for old, new in moved.items() if old != new)
        raise ConfigError(
            f"these paths lead out of the recipe's folder: {far}",
            where=recipe.document.name,
            hint="put the data beside the recipe, or a link to them, and name that",
        )
    if left := outside(wanted):
        raise ConfigError(
            f"these lead out of the recipe's folder: {', '.join(left)}",
            where=recipe.document.name,
            hint="put the files beside the recipe, and name those",
        )
    return changed, moved


def _replaced(value: Any, moved: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(item, moved) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, moved) for item in value]
    if not isinstance(value, str):
        return value
    label, equals, path = value.rpartition("=")
    parts = [moved.get(part, part) for part in split_pair(path)]
    return moved.get(value) or f"{label}{equals}{':'.join(parts)}"


def _is_file(recipe: Recipe, path: str) -> bool:
    return (recipe.base / path).exists()


def _free(path: str, taken: Any) -> str:
    name, number = path, 1
    while name in taken or f"{name}/" in taken:
        number += 1
        place = PurePosixPath(path)
        name = str(place.with_name(f"{place.stem}-{number}{place.suffix}"))
    return name
