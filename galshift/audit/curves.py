"""Success against what the fault may do: how strong it is, and how many pixels it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from galshift.audit.faults._base import Variant
from galshift.intervals import wilson_interval

Values = Mapping[str, Any]


def success(flipped: int, attacked: int) -> dict[str, Any]:
    """Return a success rate with its interval; the rate is None where nothing was attacked."""
    return {
        "n_attacked": attacked,
        "n_flipped": flipped,
        "success_rate": flipped / attacked if attacked else None,
        "success_ci95": list(wilson_interval(flipped, attacked)),
    }


def success_by_amplitude(
    attacked: Sequence[Values], variants: Sequence[Variant], *, electrons: bool
) -> list[dict[str, Any]]:
    """Return the success of each strength of the fault, whatever the place, band and direction.

    Parameters
    ----------
    attacked : sequence of mapping
        ``Row.values`` of the attacked images; those of a search that was not complete give nothing.
    variants : sequence of Variant
    electrons : bool
        True where amplitudes are electrons; else each variant stands alone, by its name.

    Returns
    -------
    list of dict
        ``name``, ``electrons`` (None where not so), and as of :func:`success`; weakest first.
    """
    if not attacked or not variants or any(len(row["variant_flips"]) != len(variants) for row in attacked):
        return []
    groups: dict[str, tuple[float | None, list[int]]] = {}
    for index, variant in enumerate(variants):
        strength = max(variant.values, key=abs) if electrons else None
        name = variant.name if strength is None else f"{strength:.4g} e"
        groups.setdefault(name, (strength, []))[1].append(index)
    found = []
    for name, (strength, members) in groups.items():
        flipped = sum(any(row["variant_flips"][i] for i in members) for row in attacked)
        found.append({"name": name, "electrons": strength, **success(flipped, len(attacked))})
    return sorted(found, key=lambda entry: (entry["electrons"] is not None, abs(entry["electrons"] or 0)))


def success_by_pixels(attacked: Sequence[Values], pixels: int) -> list[dict[str, Any]]:
    """Return the success with at most 1, 2, ... `pixels` pixels, for a search that adds pixel after pixel."""
    if pixels == 1 or not attacked:
        return []
    needed = [len(row["rows"]) for row in attacked if row["flipped"]]
    return [
        {"pixels": k, **success(sum(n <= k for n in needed), len(attacked))} for k in range(1, pixels + 1)
    ]
