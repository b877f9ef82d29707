"""The sentences of a comparison of two data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from galshift.evaluation.gap import gap_sentence

if TYPE_CHECKING:
    from galshift.recipes.steps._gap import Comparison

# Below this Kolmogorov-Smirnov statistic, or above this p, a difference is not worth a sentence.
_KS, _P = 0.3, 0.01


def answer(found: Comparison) -> list[str]:
    """Return the opening sentences."""
    a, b = found.sides
    lines = []
    if found.images is not None:
        lines.append(f"By what can be measured in the images: {_lowered(gap_sentence(found.images))}")
    if found.features is not None:
        lines.append(f"In the features that the model decides on: {_lowered(gap_sentence(found.features))}")
    told = _told(found.quantities)
    if told:
        lines.append(
            "They differ most in " + "; ".join(_difference(row, a.name, b.name) for row in told[:4]) + "."
        )
    elif found.quantities:
        lines.append("No measured quantity differs beyond what chance could make.")
    return lines


def shown(value: float) -> str:
    """Return a measured number with three figures, without powers of ten up to a million."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def worth_saying(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of ``compare`` that differ much and not by chance, the most different first."""
    return [row for row in rows if row["ks"] >= _KS and row["p"] <= _P]


def _told(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The differences worth a sentence: one band stands for all bands of a quantity."""
    families: dict[str, dict[str, Any]] = {}
    for row in worth_saying(rows):
        families.setdefault(row["quantity"].split(" in ")[0].split(" ")[0], row)
    return list(families.values())


def _difference(row: dict[str, Any], a: str, b: str) -> str:
    return f"{row['quantity']} (median {shown(row['median_a'])} in {a}, {shown(row['median_b'])} in {b})"


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
