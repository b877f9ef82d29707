"""Which versions made a result, and a file that asks pip for the same ones again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from galshift.provenance import all_software, atomic_path, canonical_json, remove_dead_parts

_PINNED = ("galshift", "python", "packages")


def pinned(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the versions that made a finished run, without host, command and time."""
    told = manifest.get("environment") or {}
    return {name: told[name] for name in _PINNED if name in told}


def commonest(environments: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the environment that most steps were made in, the first of them where several are as common."""
    known: dict[str, dict[str, Any]] = {}
    counted: Counter[str] = Counter()
    for one in environments:
        key = canonical_json(one)
        known.setdefault(key, dict(one))
        counted[key] += 1
    return known[counted.most_common(1)[0][0]] if counted else {}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return ``numpy 2.1.0 → 2.2.0`` for each version of an environment that is another one in `after`."""
    lines = [
        f"{name} {before[name]} → {after[name]}"
        for name in ("galshift", "python")
        if before.get(name) and after.get(name) and before[name] != after[name]
    ]
    old, new = before.get("packages") or {}, after.get("packages") or {}
    lines += [
        f"{name} {old[name]} → {new.get(name) or 'not installed'}"
        for name in old
        if old[name] and name in new and old[name] != new[name]
    ]
    return lines


def constraints(environment: Mapping[str, Any]) -> str:
    """Return the text of a constraints file for ``pip install -c``: a line ``name==version`` each, sorted.

    What galshift itself uses is always there; where `environment` is that of this process, so is everything
    that it needs in turn.
    """
    versions = {"galshift": environment.get("galshift"), **(environment.get("packages") or {})}
    if canonical_json(environment) == canonical_json(all_software()):
        versions = {**_needed("galshift"), **versions}
    # A build of one's own (2.13.0+cpu) is published nowhere under that name.
    lines = [f"{name}=={str(version).partition('+')[0]}" for name, version in versions.items() if version]
    head = [
        f"# Versions that made these results; Python {environment.get('python')}.",
        "# Use: pip install -c THIS_FILE galshift",
    ]
    return "\n".join([*head, *sorted(lines, key=str.lower)]) + "\n"


def write_constraints(path: Path, environment: Mapping[str, Any]) -> None:
    """Write the constraints file at `path`, atomically, where none stands that says the same."""
    text = constraints(environment)
    remove_dead_parts(path)
    if path.is_file() and path.read_bytes() == text.encode():
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@lru_cache(maxsize=4)
def _needed(package: str) -> Mapping[str, str]:
    """Return the version of each installed package that `package` needs, in turn, extras left out."""
    found: dict[str, str] = {}
    waiting = [package]
    while waiting:
        try:
            known = metadata.distribution(waiting.pop())
        except metadata.PackageNotFoundError:
            continue  # for another system or version of Python
        name = re.sub(r"[-_.]+", "-", known.name).lower()
        if name in found:
            continue
        found[name] = known.version
        for line in known.requires or ():
            wanted, _, marker = line.partition(";")
            if "extra" not in marker:
                waiting.append(re.split(r"[\s<>=!~\[(@]", wanted.strip(), maxsplit=1)[0])
    return found
