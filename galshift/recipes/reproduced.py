"""Whether a finished recipe is what its lock says: bit for bit, within a tolerance, or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galshift.errors import DataError, NumericalError
from galshift.provenance import content_sha256
from galshift.recipes.contents import TOLERANCE, described, distance
from galshift.recipes.lock import numbers, says_how
from galshift.recipes.pins import changed, pinned
from galshift.recipes.planned import Planned

#: Numbers of the results that differ by no more, relative to themselves, are the same but for rounding.
NUMBER_TOLERANCE = 1e-4
_SHOWN = 5
# A figure's bytes are those of the library that drew it; the data behind it are files of their own.
_FIGURES = (".pdf", ".svg", ".png")
_DRAW = ("matplotlib", "pillow")


@dataclass
class Reproduced:
    """How a finished recipe compares with a lock.

    Attributes
    ----------
    n_files, n_numbers : int
        Files, and numbers of the results, that were compared.
    within : list of str
        A sentence for each that is the same but for rounding, with how far it is off.
    other : list of str
        A sentence for each that is something else, or missing.
    notes : list of str
        What is unlike in how it was made: versions, device.
    left : list of str
        Steps that were not compared: not done, or not the ones of the lock.
    """

    n_files: int = 0
    n_numbers: int = 0
    within: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def sentences(self, lock: str) -> list[str]:
        """Return what to tell people; `lock` is what the lock is called."""
        what = f"{self.n_files} files and {self.n_numbers} numbers"
        if not self.n_files + self.n_numbers:
            return [f"nothing was compared: no step of {lock} is done here as it says"]
        exact = self.n_files + self.n_numbers - len(self.within) - len(self.other)
        if self.other:
            lines = [f"NOT reproduced: of {what} in {lock}, {exact} are the same bit for bit, but"]
            lines += [f"  {line}" for line in _first(self.other)]
        elif self.within:
            lines = [f"reproduced within tolerance: of {what} in {lock}, {exact} are the same bit for bit"]
        else:
            lines = [f"reproduced: all {what} in {lock} are the same bit for bit"]
        if self.within:
            lines.append(
                f"within tolerance (arrays {TOLERANCE:g} of their size, numbers {NUMBER_TOLERANCE:g}):"
            )
            lines += [f"  {line}" for line in _first(self.within)]
        return [*lines, *(f"note: {line} since the lock was written" for line in self.notes)]

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        verdict = "not reproduced" if self.other else "within tolerance" if self.within else "bit for bit"
        return {
            "verdict": verdict if self.n_files + self.n_numbers else "nothing compared",
            "n_files": self.n_files,
            "n_numbers": self.n_numbers,
            "within_tolerance": self.within,
            "not_reproduced": self.other,
            "made_otherwise": self.notes,
            "not_compared": self.left,
        }


def compare(plan: Mapping[str, Planned], lock: Mapping[str, Any]) -> Reproduced:
    """Hold what the finished steps of `plan` have on disk now against `lock`.

    Steps that are not done, or that the lock has under another fingerprint, are named in ``left``.
    """
    found = Reproduced()
    notes: dict[str, list[str]] = {}
    for name, planned in plan.items():
        locked = lock.get("steps", {}).get(name)
        if locked is None or not planned.done or locked["fingerprint"] != planned.prepared.fingerprint:
            found.left.append(name)
            continue
        manifest = planned.manifest()
        before = locked.get("environment") or lock.get("environment") or {}
        lines = changed(before, pinned(manifest))
        drawn = " and ".join(line for line in lines if line.partition(" ")[0] in _DRAW)
        for file, made in locked["outputs"].items():
            if not says_how(file):
                found.n_files += 1
                _compare_file(f"{name}/{file}", planned.directory / file, made, found, drawn)
        _compare_numbers(name, locked.get("results") or {}, manifest["results"], found)
        devices = [one.get("device") for one in (locked, {"device": manifest.get("computed_on")})]
        if all(devices) and devices[0] != devices[1]:
            lines.append(f"device {devices[0]} → {devices[1]}")
        for line in lines:
            notes.setdefault(line, []).append(name)
    found.notes += [f"{line} ({_of(names, plan)})" for line, names in notes.items()]
    return found


def require_reproduced(found: Reproduced) -> None:
    """Raise NumericalError naming what :func:`compare` found to be another result."""
    if found.other:
        first = "; ".join(found.other[:_SHOWN])
        raise NumericalError(f"this is not what the lock says: {first}", hint=f"{len(found.other)} in all")


def _compare_file(name: str, path: Path, made: Mapping[str, Any], found: Reproduced, drawn: str) -> None:
    """Note how a file compares with the lock's `made`; `drawn` says which versions of what draws changed."""
    if not path.exists():
        found.other.append(f"{name} is missing")
        return
    try:
        if content_sha256(path) == made.get("sha256"):
            return
    except (OSError, DataError):
        found.other.append(f"{name} cannot be read")
        return
    if drawn and path.suffix in _FIGURES:
        found.within.append(f"{name}: drawn by {drawn}")
        return
    before, after = made.get("content") or {}, described(path)
    if not before or not after:
        found.other.append(f"{name} has other bytes")
        return
    apart: dict[str, float] = {}
    unlike = [f"{array} is missing" for array in before if array not in after]
    unlike += [f"{array} is new" for array in after if array not in before]
    for array in before.keys() & after.keys():
        share = distance(before[array], after[array])
        if share is None or math.isnan(share) or share > TOLERANCE:
            unlike.append(f"{array} {_how_far(share)}")
        elif share:
            apart[array] = share
    if unlike:
        found.other.append(f"{name}: {', '.join(sorted(unlike)[:_SHOWN])}")
    elif apart:
        worst = max(apart, key=lambda array: apart[array])
        found.within.append(f"{name}: {worst} differs by about {apart[worst]:.1g} of its size")
    else:
        found.within.append(f"{name}: the same values, stored otherwise")


def _how_far(share: float | None) -> str:
    if share is None:
        return "has another shape or type"
    return "is not the same" if math.isnan(share) else f"differs by about {share:.2g} of its size"


def _compare_numbers(
    step: str, locked: Mapping[str, float], results: Mapping[str, Any], found: Reproduced
) -> None:
    now = dict(numbers(results))
    for key, before in locked.items():
        found.n_numbers += 1
        after = now.get(key)
        if after is None:
            found.other.append(f"{step}: {key} is missing")
        elif after != before:
            near = math.isclose(before, after, rel_tol=NUMBER_TOLERANCE, abs_tol=NUMBER_TOLERANCE**2)
            (found.within if near else found.other).append(f"{step}: {key} {before:.6g} → {after:.6g}")


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def _of(names: list[str], plan: Mapping[str, Planned]) -> str:
    return "every step" if len(names) == len(plan) else ", ".join(names)
