"""The sentences of an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from galshift.recipes.steps._explaining import Explanation

# A map that still ranks pixels like the true one after the whole network is noise shows the image's shape.
_UNMOVED = 0.5


def answer(found: Explanation) -> list[str]:
    """Return the opening sentences."""
    lines = []
    for s in found.sets:
        on, area = _mean(s.scores["on_galaxy"]), _mean(s.scores["galaxy_area"])
        if not np.isfinite(on):
            lines.append(f"On {s.name} no galaxy was found to hold the maps against.")
            continue
        verdict = (
            "it looks at the galaxy more than at the rest of the image"
            if on > 1.2 * area
            else "it does not single out the galaxy"
        )
        lines.append(
            f"On {s.name}, {on:.0%} of the evidence lies on the galaxy, whose pixels are {area:.0%} of the "
            f"image: {verdict}."
        )
    last = found.check[-1]["correlation"] if found.check else float("nan")
    if np.isfinite(last):
        verdict = (
            "the maps show what the network learnt"
            if last < _UNMOVED
            else "the maps would look alike whatever the network had learnt, so they explain little"
        )
        lines.append(
            f"With every weight replaced by noise, maps correlate by {last:.2f} with the true ones "
            f"(1 = unchanged): {verdict}."
        )
    return lines


def warnings(found: Explanation) -> list[str]:
    """Return what a reader should know before looking at the maps."""
    height, width = found.sets[0].maps.shape[1:]
    size = found.trained.preprocessing.size
    lines = [
        f"A map has {width} x {height} pixels for an image of {size} x {size}; anything finer is "
        "interpolation."
    ]
    for s in found.sets:
        empty = int((s.maps.sum(axis=(1, 2)) == 0).sum())
        if empty:
            lines.append(
                f"{empty} of {len(s.rows)} maps of {s.name} are empty: nothing in that layer speaks for the "
                "class."
            )
        if s.n_flagged:
            lines.append(f"{s.n_flagged} images of {s.name} could not be used.")
    return lines


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")
