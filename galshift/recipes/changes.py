"""What differs between a step as it is planned and as a lock has it, in the recipe's words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.recipes.planned import Planned


def changes(planned: Planned, entry: Mapping[str, Any], plan: Mapping[str, Planned]) -> list[str]:
    """Return what differs between a step as planned and as locked in `entry`, in the recipe's words.

    Parameters
    ----------
    planned : Planned
    entry : mapping
        Of the lock.
    plan : mapping of str to Planned
        The steps before it, which name what it reads.
    """
    if entry.get("fingerprint") == planned.prepared.fingerprint:
        return []
    found = []
    if entry.get("uses") != planned.step.uses:
        return [f"uses {entry.get('uses')} → {planned.step.uses}"]
    versions = {planned.step.uses: planned.prepared.step.version, **planned.prepared.versions}
    for name, version in versions.items():
        before = (entry.get("versions") or {}).get(name)
        if before != version and before is not None:
            found.append(f"{name} version {before} → {version}")
    found += differences(entry.get("parameters") or {}, planned.prepared.parameters)
    inputs, made = (
        planned.prepared.inputs,
        {other.prepared.fingerprint: other.name for other in plan.values()},
    )
    for role, contribution in inputs.upstream.items():
        if (entry.get("upstream") or {}).get(role) != contribution:
            name = made.get(contribution.partition("/")[0]) or inputs.paths.get(role, role)
            found.append(f"{name}, which it reads, changed")
    for role, sha in inputs.hashes.items():
        before = (entry.get("inputs") or {}).get(role) or {}
        if before.get("sha256") != sha:
            found.append(_read_now(role, Path(inputs.files.get(role, role)), before))
    return list(dict.fromkeys(found)) or ["what it reads changed"]


def _read_now(role: str, path: Path, before: Mapping[str, Any]) -> str:
    """Return how a file that a step reads differs from what the lock's entry `before` says of it."""
    if role.endswith(".card"):
        return f"what is declared of {path.stem} changed"
    if not before:
        return f"reads {path.name} now"
    old = Path(str(before.get("path"))).name
    return f"{path.name} has other content" if old == path.name else f"reads {path.name}, not {old}"


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """Return ``key before → after`` for each scalar that differs between two trees of plain data."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return [
            line
            for key in [*before, *(key for key in after if key not in before)]
            for line in differences(before.get(key), after.get(key), f"{place}.{key}" if place else str(key))
        ]
    return [] if before == after else [f"{place} {before} → {after}"]
