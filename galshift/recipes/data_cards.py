"""What a published recipe says of the data that it reads: their checksums, and where to fetch them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from galshift.data.paths import files_of
from galshift.data.public import names as public_names
from galshift.data.public import public_set
from galshift.errors import DataError
from galshift.plain_yaml import NotPlain, load_plain
from galshift.provenance import content_sha256
from galshift.recipes.planned import Planned
from galshift.recipes.schema import Recipe


def data_cards(recipe: Recipe, plan: Mapping[str, Planned], moved: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one entry for each file or folder that the recipe reads and does not make.

    Parameters
    ----------
    recipe : Recipe
    plan : mapping of str to Planned
    moved : mapping of str to str
        The paths as the recipe names them, to those of the published recipe.

    Returns
    -------
    list of dict
        ``path`` (in the published recipe), ``sha256``, ``bytes``, ``read_by``, ``declared`` (what its card
        says), ``fetch`` (a command, and ``page`` and ``paper``) where a public set is known.
    """
    read_by: dict[str, list[str]] = {}
    for planned in plan.values():
        for path in planned.prepared.inputs.paths.values():
            read_by.setdefault(os.path.abspath(path), []).append(planned.name)
    declared = {
        entry.path: entry.model_dump(mode="json", exclude_defaults=True, exclude={"path"})
        for entry in recipe.data.values()
        if not isinstance(entry, str)
    }
    cards = []
    for old, new in moved.items():
        place = recipe.base / old
        card: dict[str, Any] = {"path": new, "sha256": content_sha256(place) if place.exists() else None}
        card["bytes"] = sum(_sizes(place)) if place.exists() else None
        if names := read_by.get(os.path.abspath(place)):
            card["read_by"] = sorted(set(names))
        if old in declared:
            card["declared"] = declared[old]
        if (public := _public(place)) is not None:
            told = public_set(public)
            card |= {"fetch": f"galshift fetch {public}", "page": told.page, "paper": told.paper}
        cards.append(card)
    return cards


def _sizes(place: Path) -> Iterator[int]:
    files = [place] if place.is_file() else sorted(place.rglob("*"))
    yield from (file.stat().st_size for file in files if file.is_file())


def _public(place: Path) -> str | None:
    """Return the name of the public set whose run directory a file stands in, or None."""
    for folder in (place, *place.resolve().parents):
        if (folder / "run.json").is_file():
            try:
                told = load_plain((folder / "config.yaml").read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, NotPlain):
                return None
            name = told.get("name") if isinstance(told, dict) and told.get("uses") == "fetch" else None
            return name if name in public_names() else None
    return None


def absent(cards: list[dict[str, Any]], folder: Path) -> list[str]:
    """Return a sentence for each of `cards` whose data are not in `folder`, or are not the same."""
    lines = []
    for card in cards:
        place = folder / str(card["path"])
        how = f"; {card['fetch']}" if card.get("fetch") else ""
        if not all(Path(file).exists() for file in files_of(place)) or not place.exists():
            lines.append(f"{place} is not there{how}")
            continue
        try:
            same = card.get("sha256") in (None, content_sha256(place))
        except (OSError, DataError):
            same = False
        if not same:
            lines.append(f"{place} has other content than what was published{how}")
    return lines
