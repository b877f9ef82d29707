"""The lock of a recipe: what each step was made from and gave, sorted, relative, fit for version control.

``<recipe>.lock.json`` stands beside the recipe: for each step its fingerprint, values, inputs and files by
content (see :mod:`galshift.recipes.contents`), headline numbers and device; and the versions that made them,
which ``<recipe>.constraints.txt`` beside it asks pip for.  Times, hosts and absolute paths are in the
manifests of the runs, not here, so that a lock from one machine can be compared with another's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from galshift.errors import ConfigError
from galshift.provenance import content_sha256, remove_dead_parts, write_json
from galshift.recipes.cards import cards_of
from galshift.recipes.changes import changes
from galshift.recipes.contents import described
from galshift.recipes.pins import commonest, pinned, write_constraints
from galshift.recipes.planned import Planned
from galshift.recipes.schema import DATA, FULL, Recipe

SCHEMA = 1
_TIMES = ("seconds", "profile")  # what a result says of how long it took: other in every run
# Of a step that writes more files than this the others are compared by their bytes alone.
_MOST_DESCRIBED = 64


def lock_path(recipe: Recipe) -> Path:
    """Return where the lock of `recipe` stands: beside it, named after its file and, at full scale, that."""
    return recipe.base / f"{_stem(recipe)}.lock.json"


def constraints_path(recipe: Recipe) -> Path:
    """Return where the versions that made the results of `recipe` are pinned: beside its lock."""
    return recipe.base / f"{_stem(recipe)}.constraints.txt"


def read_lock(recipe: Recipe) -> dict[str, Any]:
    """Return the lock of `recipe`, or an empty mapping when there is none.

    Raises
    ------
    ConfigError
        When the file is no lock.
    """
    path = lock_path(recipe)
    if not path.exists():
        return {}
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"this lock cannot be read: {error}", where=path) from None
    if not isinstance(lock, dict) or lock.get("lock") != SCHEMA or not isinstance(lock.get("steps"), dict):
        raise ConfigError("this is not a lock of this version of galshift", where=path)
    return lock


def write_lock(recipe: Recipe, plan: Mapping[str, Planned]) -> Path:
    """Write the lock with an entry for every finished step of `plan`, and beside it the versions for pip."""
    path = lock_path(recipe)
    remove_dead_parts(path)
    old = read_lock(recipe)
    before = old.get("steps", {})
    steps = {name: entry(recipe, planned, before.get(name)) for name, planned in plan.items() if planned.done}
    usual = commonest(one["environment"] for one in steps.values())
    for one in steps.values():
        if one["environment"] == usual:
            del one["environment"]
    pins = constraints_path(recipe)
    # Of an environment that is not this one less is known than when it was pinned.
    if usual and not (pins.is_file() and old.get("environment") == usual):
        write_constraints(pins, usual)
    head = {"lock": SCHEMA, "recipe": recipe.name, "seed": recipe.head.seed, "environment": usual}
    head |= {} if recipe.scale is None else {"scale": recipe.scale}
    write_json(path, _sorted({**head, "steps": steps}))
    return path


def entry(recipe: Recipe, planned: Planned, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return one finished step's entry; `before` is an older one, of whose unchanged files it is known."""
    manifest = planned.manifest()
    prepared = planned.prepared
    # A card that stands in the recipe is named as the recipe names it, wherever its file is written.
    cards = cards_of(recipe, planned.directory.parent)
    names = {str(card.card): f"${{{DATA}.{name}}}" for name, card in cards.items()}
    return {
        "uses": planned.step.uses,
        "fingerprint": prepared.fingerprint,
        "versions": {planned.step.uses: prepared.step.version, **prepared.versions},
        "parameters": prepared.parameters,
        "inputs": {
            role: {
                "path": names.get(path) or _relative(path, recipe.base),
                "sha256": prepared.inputs.hashes[role],
            }
            for role, path in prepared.inputs.files.items()
        },
        "upstream": dict(prepared.inputs.upstream),
        "outputs": _outputs(planned.directory, manifest["outputs"], (before or {}).get("outputs") or {}),
        "results": dict(numbers(manifest["results"])),
        "device": manifest.get("computed_on"),
        "environment": pinned(manifest),
    }


def _outputs(folder: Path, made: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, recorded in made.items():
        if says_how(name):
            continue
        known = before.get(name) or {}
        if known.get("sha256") == recorded["sha256"] and "content" in known:
            content = known["content"]
        else:
            intact = len(found) < _MOST_DESCRIBED and _is(folder / name, recorded["sha256"])
            content = described(folder / name) if intact else {}
        found[name] = {**recorded, **({"content": content} if content else {})}
    return found


def _is(path: Path, sha256: str) -> bool:
    return path.exists() and content_sha256(path) == sha256


def mismatches(plan: Mapping[str, Planned], lock: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each step of `plan` that is not as `lock` has it; empty when all agree."""
    locked = lock.get("steps", {})
    lines = [f"{name}: not in the lock" for name in plan if name not in locked]
    lines += [f"{name}: in the lock, not in the recipe" for name in locked if name not in plan]
    for name, planned in plan.items():
        before = locked.get(name, {})
        if before and (changed := changes(planned, before, plan)):
            lines.append(f"{name}: {'; '.join(changed)}")
    return lines


def verify(planned: Planned) -> list[str]:
    """Re-hash a finished step's outputs and inputs; return a sentence for each that is not as recorded."""
    lines = []
    manifest = planned.manifest()
    for name, recorded in manifest["outputs"].items():
        path = planned.directory / name
        if not path.exists():
            lines.append(f"{planned.name}: {path} is missing")
        elif content_sha256(path) != recorded["sha256"]:
            lines.append(f"{planned.name}: {path} was changed after it was made")
    if manifest["fingerprint"] != planned.prepared.fingerprint:
        lines.append(f"{planned.name}: {planned.directory} holds the result of another configuration")
    return lines


def numbers(results: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Yield (dotted key path, number) for every number inside `results`, times left out; items from 0."""
    if isinstance(results, Mapping):
        for key, value in results.items():
            if key in _TIMES:
                continue
            yield from numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(results, list):
        # Long lists are curves and tables; the lock keeps headline values.
        for index, value in enumerate(results if len(results) <= 16 else ()):
            yield from numbers(value, f"{place}.{index}")
    elif isinstance(results, int | float) and not isinstance(results, bool):
        yield place, results


def says_how(file: str) -> bool:
    """Return whether an output says how it was made: config.yaml names paths, a page the command typed.

    What the one says is in ``parameters``, and what the other shows is in the files beside it.
    """
    return file == "config.yaml" or file.endswith(".html")


def _stem(recipe: Recipe) -> str:
    return Path(recipe.document.name).stem + f".{FULL}" * (recipe.scale == FULL)


def _relative(path: str, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value
