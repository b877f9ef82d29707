"""The explorer: a map of galaxies as one HTML file that works offline.

Points on a canvas; a galaxy's picture on hover; colour by any column; categories switched on and off in the
legend; a lasso; the chosen galaxies as pictures and as a CSV file.  Nothing is fetched, and every word of the
data reaches the page as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galshift.provenance import atomic_path, jsonable
from galshift.report.page import template_environment
from galshift.report.pictures import data_uri

_TEMPLATES = Path(__file__).parent / "templates"
_ATLAS_COLUMNS = 32
_ATLAS_TILES = _ATLAS_COLUMNS**2
_DIGITS = 5


def build_explorer(
    path: str | Path,
    *,
    title: str,
    points: np.ndarray,
    columns: Mapping[str, np.ndarray],
    colour_by: str,
    thumbnails: Mapping[int, np.ndarray] | None = None,
    notes: Sequence[str] = (),
    axes: tuple[str, str] = ("x", "y"),
    command: str = "",
) -> Path:
    """Write the explorer page, whole or not at all, and return its path.

    Parameters
    ----------
    path : path-like
    title : str
    points : ndarray
        (N, 2); a row that is not finite is left off the map and stays in the export.
    columns : mapping of str to ndarray
        (N,) text or numbers, in the order of the export; ``id`` comes first.
    colour_by : str
        Column that colours the points at first.
    thumbnails : mapping of int to ndarray, optional
        Row number to (S, S, 3) uint8 picture, all of one size; rows without one show no picture.
    notes : sequence of str
        Plain sentences above the map.
    axes : tuple of str
    command : str
        What was typed.
    """
    path = Path(path)
    tiles, atlases, side = _atlases(thumbnails or {}, len(points))
    data = {
        "points": [
            None if not np.isfinite(p).all() else [_short(v) for v in p] for p in np.asarray(points, float)
        ],
        "columns": [_column(name, values) for name, values in columns.items()],
        "colour_by": colour_by,
        "tiles": tiles,
        "atlases": atlases,
        "side": side,
        "atlas_columns": _ATLAS_COLUMNS,
        "axes": list(axes),
        "file": f"{path.stem}-selection.csv",
    }
    script = (_TEMPLATES / "explorer.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = (
        template_environment(_TEMPLATES)
        .get_template("explorer.html.j2")
        .render(
            title=title,
            notes=list(notes),
            command=command,
            script=_markup(script),
            digest=digest,
            data=_markup(script_json(data)),
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def script_json(value: Any) -> str:
    """Return JSON that can stand inside a ``<script>`` element: no character of it can end the element."""
    text = json.dumps(jsonable(value), allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _column(name: str, values: np.ndarray) -> dict[str, Any]:
    """A column for the page: numbers as they are, words as codes into a list."""
    if isinstance(values, np.ma.MaskedArray):
        # A whole number has no NaN: where one is missing, as of a data set without the column, all turn.
        if values.dtype.kind in "iub":
            values = values.astype(float) if np.ma.is_masked(values) else np.ma.getdata(values)
        values = np.ma.filled(values, "" if values.dtype.kind in "USO" else np.nan)
    values = np.asarray(values)
    if values.dtype.kind in "fiub":
        numbers = values.astype(float)
        if values.dtype.kind in "iub":
            return {"name": name, "kind": "number", "values": [int(v) for v in values]}
        return {"name": name, "kind": "number", "values": [_short(v) for v in numbers]}
    words, codes = np.unique(values.astype(str), return_inverse=True)
    return {"name": name, "kind": "text", "words": words.tolist(), "values": codes.tolist()}


def _atlases(thumbnails: Mapping[int, np.ndarray], n: int) -> tuple[list[int], list[str], int]:
    """Return each row's tile (-1 without one), the sheets of tiles as data URIs, and the side of a tile."""
    tiles = [-1] * n
    if not thumbnails:
        return tiles, [], 0
    side = next(iter(thumbnails.values())).shape[0]
    rows = sorted(thumbnails)
    sheets = []
    for start in range(0, len(rows), _ATLAS_TILES):
        part = rows[start : start + _ATLAS_TILES]
        height = -(-len(part) // _ATLAS_COLUMNS)
        sheet = np.zeros((height * side, _ATLAS_COLUMNS * side, 3), np.uint8)
        for place, row in enumerate(part):
            y, x = divmod(place, _ATLAS_COLUMNS)
            sheet[y * side : (y + 1) * side, x * side : (x + 1) * side] = thumbnails[row]
            tiles[row] = start + place
        sheets.append(data_uri(sheet, kind="jpeg", quality=85))
    return tiles, sheets, side


def _short(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # our own script, and JSON that cannot end its element
