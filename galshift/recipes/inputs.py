"""What a step reads, and how it enters the fingerprint: data by content, a run by its fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galshift.errors import DataError
from galshift.provenance import content_sha256
from galshift.rundirectory import RunDirectory

MANIFEST_SUFFIX = ".manifest.json"


@dataclass
class Inputs:
    """The identified inputs of one step.

    Attributes
    ----------
    upstream : dict of str to str
        Fingerprints of runs, by config field (and position).
    hashes : dict of str to str
        Content sha256 of external files and folders, by config field (and position).
    paths : dict of str to str
        Where each was found; for people, never in a fingerprint.
    """

    upstream: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)


def identify(values: Mapping[str, Any], fields: tuple[str, ...]) -> Inputs:
    """Identify every path that the config fields `fields` of `values` name.

    Raises
    ------
    DataError
        When a path does not exist, or names a run that has not finished.
    """
    found = Inputs()
    for name in fields:
        for role, text in _entries(name, values.get(name)):
            for position, part in enumerate(_parts(text)):
                key = f"{role}:{position}" if position else role
                _identify_one(key, part, found)
    return found


def split_name(text: str) -> tuple[str | None, str]:
    """Split ``name=path`` into its two halves; a path that exists as it stands has no name."""
    name, equals, path = text.partition("=")
    if not equals or Path(text).exists() or "/" in name or not name:
        return None, text
    return name, path


def manifest_beside(path: Path) -> Path:
    """Return where the manifest of the product at `path` stands."""
    return path.with_name(path.name + MANIFEST_SUFFIX)


def _entries(name: str, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [(f"{name}.{key}", str(item)) for key, item in value.items() if item is not None]
    if isinstance(value, list | tuple):
        pairs = [(index, split_name(str(item))) for index, item in enumerate(value) if item is not None]
        return [(f"{name}[{index}]{'=' + label if label else ''}", path) for index, (label, path) in pairs]
    return [(name, str(value))]


def _parts(text: str) -> list[str]:
    """Return the paths of a pair such as ``x.npy:y.npy``, or the one path."""
    if Path(text).exists() or ":" not in text:
        return [text]
    return text.split(":")


def _identify_one(role: str, text: str, found: Inputs) -> None:
    path = Path(text)
    if not path.exists():
        raise DataError("there is no such file or folder", where=text, hint=f"it was given as '{role}'")
    found.paths[role] = text
    run = _enclosing_run(path)
    if run is not None:
        inside = path.resolve().relative_to(run.path.resolve()).as_posix()
        found.upstream[role] = run.fingerprint if inside == "." else f"{run.fingerprint}/{inside}"
        return
    sha = content_sha256(path)
    made = _product_fingerprint(path, sha)
    if made is not None:
        found.upstream[role] = made
    else:
        found.hashes[role] = sha


def _enclosing_run(path: Path) -> RunDirectory | None:
    for folder in (path, *path.resolve().parents):
        if (folder / "run.json").is_file():
            return RunDirectory.load(folder)
    return None


def _product_fingerprint(path: Path, sha: str) -> str | None:
    """Return the fingerprint of the step that made the file at `path`, if it has not been touched since."""
    try:
        manifest = json.loads(manifest_beside(path).read_text(encoding="utf-8"))
        recorded = manifest["outputs"][path.name]["sha256"]
        return f"{manifest['fingerprint']}/{path.name}" if recorded == sha else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
