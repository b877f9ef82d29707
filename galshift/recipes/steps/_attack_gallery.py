"""The pictures of an attack's report: before, after with the pixel circled, and where a pixel matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galshift.report import Gallery, Picture, Section, pictures


@dataclass(frozen=True)
class Example:
    """One image for the gallery: its row, the image before and after (C, S, S), and its map (S, S) if any."""

    row: Mapping[str, Any]
    before: np.ndarray
    after: np.ndarray
    vulnerability: np.ndarray | None


def gallery_section(examples: Sequence[Example]) -> Section:
    """Return the images before and after, and the map of each."""
    shown: list[Picture] = []
    peaks = [np.nanmax(e.vulnerability) for e in examples if e.vulnerability is not None]
    white = max([0.01, *peaks])
    for example in examples:
        row = example.row
        tone = "bad" if row["flipped"] else "good"
        before = pictures.composite(example.before)
        after = pictures.composite(example.after)
        circled = circle(after, row["rows"], row["columns"])
        note = f"p {row['p_before']:.2f} to {row['p_after']:.2f}"
        shown += [
            Picture(pictures.data_uri(circle(before, (), ())), f"{row['id']}: {row['prediction']}", "before"),
            Picture(pictures.data_uri(circled), f"{row['prediction_after']}", f"after, {note}", tone),
        ]
        if example.vulnerability is not None:
            heat = heat_map(example.vulnerability, white)
            shown.append(Picture(pictures.data_uri(heat), "where", f"drop of p, white = {white:.2g}"))
    text = (
        "Before; after the strongest change found, its pixel circled; and, per pixel, how much it can do.",
    )
    return Section("Images", text=text, blocks=(Gallery(tuple(shown), size_px=150),))


def where_section(mean_map: np.ndarray) -> Section:
    """Return the map averaged over images."""
    white = max(0.01, float(np.nanmax(mean_map)))
    picture = Picture(
        pictures.data_uri(heat_map(mean_map, white)), "mean over images", f"white = {white:.2g}"
    )
    return Section(
        "Where a pixel matters",
        text=("The largest drop of the true class's probability by pixel, at full resolution.",),
        blocks=(Gallery((picture,), size_px=220),),
    )


def circle(picture: np.ndarray, rows: Sequence[int], columns: Sequence[int], *, scale: int = 4) -> np.ndarray:
    """Return (H, W, 3) uint8 enlarged `scale` times, with a ring about each pixel (rows, columns)."""
    big = picture.repeat(scale, axis=0).repeat(scale, axis=1).copy()
    y, x = np.mgrid[: big.shape[0], : big.shape[1]]
    for row, column in zip(rows, columns):
        distance = np.hypot(y - (row + 0.5) * scale + 0.5, x - (column + 0.5) * scale + 0.5)
        big[np.abs(distance - 3 * scale) < 0.9] = (255, 210, 0)
    return big


def heat_map(values: np.ndarray, white: float = 1.0, *, scale: int = 4) -> np.ndarray:
    """Return (H, W, 3) uint8 of `values` between 0 (dark) and `white`, enlarged `scale` times."""
    from matplotlib import colormaps

    shown = np.clip(np.nan_to_num(values, nan=0.0) / white, 0, 1)
    colours = (colormaps["inferno"](shown)[..., :3] * 255).astype(np.uint8)
    return colours.repeat(scale, axis=0).repeat(scale, axis=1)
