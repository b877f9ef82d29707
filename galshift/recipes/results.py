"""Numbers in the results of steps, by dotted keys, and whether they are what a recipe expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from galshift.errors import NumericalError
from galshift.recipes.planned import Planned


def check_expectations(planned: Planned, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each ``expect`` of a step: step, key, expected, found (None if absent) and met."""
    rows = []
    for key, expect in planned.expect.items():
        found = result_at(results, key)
        met = found is not None and expect.met_by(found)
        rows.append({"step": planned.name, "key": key, "expected": str(expect), "found": found, "met": met})
    return rows


def require_expectations(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise NumericalError naming every row of :func:`check_expectations` that was missed."""
    missed = [row for row in rows if not row["met"]]
    if missed:
        lines = [
            f"{row['step']}: {row['key']} is {_shown(row)}, expected {row['expected']}" for row in missed
        ]
        raise NumericalError("; ".join(lines), hint=f"{len(missed)} of {len(rows)} expectations missed")


def result_at(results: Any, key: str) -> float | None:
    """Return the number at the dotted `key` of `results` (``results.0.domains.sky.accuracy``), or None.

    A data set's name may hold dots; a number may be given as ``{"value": ..., "ci95": ...}``.
    """
    if isinstance(results, Mapping) and not key:
        results = results.get("value")
    if not key:
        number = isinstance(results, int | float) and not isinstance(results, bool)
        return float(results) if number else None
    if isinstance(results, list):
        head, _, rest = key.partition(".")
        return result_at(results[int(head)], rest) if head.isdigit() and int(head) < len(results) else None
    if isinstance(results, Mapping):
        for name in sorted(results, key=len, reverse=True):
            if key == name or key.startswith(f"{name}."):
                return result_at(results[name], key[len(name) + 1 :])
    return None


def _shown(row: Mapping[str, Any]) -> str:
    return "absent" if row["found"] is None else format(row["found"], ".6g")
