"""What a step reads, and how it enters the fingerprint: data by content, a run by its fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galshift.data.card import PATHS, VERSION, Resolved, is_card, resolve
from galshift.data.paths import is_pattern, is_there, matching, missing, split_name, split_pair
from galshift.errors import DataError
from galshift.provenance import PART_FILES, content_sha256, fingerprint
from galshift.rundirectory import RunDirectory

MANIFEST_SUFFIX = ".manifest.json"

Known = Mapping[str, str | Resolved]


@dataclass
class Inputs:
    """The identified inputs of one step.

    Attributes
    ----------
    upstream : dict of str to str
        Fingerprints of runs (``fingerprint/role`` for one of their outputs), by config field and position.
    hashes : dict of str to str
        Content sha256 of external files and folders, by config field and position.
    paths : dict of str to str
        What was given for each; for people, never in a fingerprint.
    files : dict of str to str
        Where the content that `hashes` names stands: for a data card, the images that it names.
    fields : set of str
        The config fields that the above stand for.
    """

    upstream: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    fields: set[str] = field(default_factory=set)


def identify(values: Mapping[str, Any], fields: tuple[str, ...], known: Known | None = None) -> Inputs:
    """Identify every path that the config fields `fields` of `values` name.

    Parameters
    ----------
    values : mapping
        A config as plain data.
    fields : tuple of str
        Key paths such as ``data`` or ``read.labels``; one that ends in ``?`` may hold something else.
    known : mapping, optional
        What some paths contribute, by path, that need not exist yet: the results of a recipe's steps (what
        they add to a fingerprint) and the data cards that it holds.

    Raises
    ------
    DataError
        When a path does not exist, or names a run that has not finished.
    """
    found = Inputs()
    for name in fields:
        bare, optional = name.rstrip("?"), name.endswith("?")
        if not optional:
            found.fields.add(bare)
        for role, text in entries(bare, lookup(values, bare)):
            if optional and not Path(text).is_file() and text not in (known or {}):
                continue
            found.fields.add(bare)
            for position, part in enumerate(split_pair(text)):
                _identify_one(f"{role}:{position}" if position else role, part, known or {}, found)
    return found


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """Return what stands at the dotted key path `name`, or None."""
    place: Any = values
    for part in name.split("."):
        place = place.get(part) if isinstance(place, Mapping) else None
    return place


def without(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return `values` less what stands at the dotted key paths `names`."""
    left = dict(values)
    for name in names:
        head, _, rest = name.partition(".")
        if not rest:
            left.pop(head, None)
        elif isinstance(left.get(head), Mapping):
            left[head] = without(left[head], (rest,))
    return left


def map_paths(
    values: Mapping[str, Any], fields: tuple[str, ...], change: Callable[[str], str]
) -> dict[str, Any]:
    """Return `values` with every path in the config fields `fields` changed by `change`; labels stay."""
    changed = dict(values)
    for name in fields:
        head, _, rest = name.rstrip("?").partition(".")
        if rest and isinstance(changed.get(head), Mapping):
            changed[head] = map_paths(changed[head], (rest + "?" * name.endswith("?"),), change)
        elif not rest and head in changed:
            new = _changed(changed[head], change)
            # What may be no path is one only if something stands there.
            if not name.endswith("?") or (isinstance(new, str) and Path(new).is_file()):
                changed[head] = new
    return changed


def entries(name: str, value: Any) -> list[tuple[str, str]]:
    """Return (role, path) for each path in a config value: one, a list, or a mapping of names to paths."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [(f"{name}.{key}", str(item)) for key, item in value.items() if item is not None]
    if isinstance(value, list | tuple):
        pairs = [(index, split_name(str(item))) for index, item in enumerate(value) if item is not None]
        return [(f"{name}[{index}]{'=' + label if label else ''}", path) for index, (label, path) in pairs]
    return [(name, str(value))]


def manifest_beside(path: Path) -> Path:
    """Return where the manifest of the product at `path` stands."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _changed(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(item, change) for item in value]
    if not isinstance(value, str):
        return value
    label, path = split_name(value)
    path = ":".join(change(part) for part in split_pair(path))
    return path if label is None else f"{label}={path}"


def _identify_one(role: str, text: str, known: Known, found: Inputs) -> None:
    path = Path(text)
    if path.match(PART_FILES):
        hint = "repeat the command that was to write it"
        raise DataError("this was left half-written by a command that was stopped", where=text, hint=hint)
    found.paths[role] = text
    already = known.get(text)
    if isinstance(already, str):
        found.upstream[role] = already
        return
    if already is None and not is_there(path):
        error = missing(path, f"given as '{role}'")
        error.where = text
        raise error
    if already is not None or is_card(path):
        _identify_card(role, path, already or resolve(path), known, found)
        return
    run = _enclosing_run(path.parent if is_pattern(path) else path)
    if run is not None and (contributed := _contribution(run, path)) is not None:
        found.upstream[role] = contributed
        return
    if is_pattern(path):
        found.hashes[role], found.files[role] = _pattern_sha256(path), text
        return
    sha = content_sha256(path)
    made = _product_fingerprint(path, sha)
    if made is not None:
        found.upstream[role] = made
    else:
        found.hashes[role], found.files[role] = sha, text


def _identify_card(role: str, place: Path, card: Resolved, known: Known, found: Inputs) -> None:
    """Identify what a data card names, by content, and what it says, but not where it all lies."""
    values = card.options.model_dump(mode="json", exclude_defaults=True)
    files = {name: values.pop(name) for name in PATHS if Path(str(values.get(name) or "")).is_file()}
    for position, part in enumerate(split_pair(card.path)):
        _identify_one(f"{role}:{position}" if position else role, part, known, found)
        if position:  # what was given is the card, not the second file of a pair that it names
            del found.paths[f"{role}:{position}"]
    for name, file in files.items():
        _identify_one(f"{role}.{name}", file, known, found)
    found.hashes[f"{role}.card"] = fingerprint("card", VERSION, values)
    found.files[f"{role}.card"] = found.paths[role] = str(place)


def _pattern_sha256(pattern: Path) -> str:
    """Return what stands for the contents of the files of a pattern, and their names, in order."""
    files = [[file.name, content_sha256(file)] for file in matching(pattern)]
    return fingerprint("files", 1, {"files": files})


def _enclosing_run(path: Path) -> RunDirectory | None:
    for folder in (path, *path.resolve().parents):
        if (folder / "run.json").is_file():
            return RunDirectory.load(folder)
    return None


def _contribution(run: RunDirectory, path: Path) -> str | None:
    """Return what a file of a run contributes, the same as the recipe's reference to it.

    None for a file that is not as the run left it, such as a list of `suggest` whose labels were filled in.
    """
    inside = path.resolve().relative_to(run.path.resolve()).as_posix()
    manifest = run.manifest()
    results, made = manifest.get("results", {}), manifest.get("outputs", {})
    if path.is_file() and not any(inside.startswith(f"{name}/") for name in made):
        recorded = made.get(inside, {}).get("sha256")
        if recorded != content_sha256(path):
            return None
    if inside in (".", results.get("product")):
        return run.fingerprint
    roles = {str(file): role for role, file in (results.get("outputs") or {}).items()}
    return f"{run.fingerprint}/{roles.get(inside, inside)}"


def _product_fingerprint(path: Path, sha: str) -> str | None:
    """Return the fingerprint of the step that made the file at `path`, if it has not been touched since."""
    try:
        manifest = json.loads(manifest_beside(path).read_text(encoding="utf-8"))
        if manifest["outputs"][path.name]["sha256"] != sha:
            return None
        roles = {str(file): role for role, file in (manifest["results"].get("outputs") or {}).items()}
        main = manifest["results"].get("product") == path.name
        return (
            manifest["fingerprint"]
            if main
            else f"{manifest['fingerprint']}/{roles.get(path.name, path.name)}"
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
