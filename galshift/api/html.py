"""What a notebook shows of a result; everything that is not a number of ours is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

_MOST = 40


def page(title: str, said: Sequence[str], rows: Sequence[tuple[str, Any]], parts: Sequence[str]) -> str:
    """Return a small block: a title, sentences, a table of two columns, and parts that are HTML already."""
    cells = [f"<tr><th>{escape(str(a))}</th><td>{escape(str(b))}</td></tr>" for a, b in rows]
    sentences = "".join(f"<div>{escape(line)}</div>" for line in said)
    table = f"<table>{''.join(cells)}</table>" if cells else ""
    return f"<div><strong>{escape(title)}</strong>{sentences}{table}<div>{' '.join(parts)}</div></div>"


def linked(name: str, path: Path) -> str:
    """Return a link to a file."""
    return f"<a href='{escape(path.as_posix(), quote=True)}'>{escape(name)}</a>"


def picture(image: Any, name: str, bands: Sequence[str]) -> str:
    """Return one (C, H, W) image as a small picture with its name below the pointer."""
    from galshift.report.pictures import composite, data_uri

    drawn = data_uri(composite(image, bands=bands))
    return f"<img src='{drawn}' title='{escape(name, quote=True)}' height='96'>"


def rows_of(results: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the numbers and words of a result as (key path, value); long ones are cut off."""
    rows: list[tuple[str, Any]] = []
    for key, value in results.items():
        if key in ("outputs", "run", "out", "product"):
            continue
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += rows_of(value, f"{name}.") if len(prefix) < 60 else []
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for i, item in enumerate(value):
                rows += rows_of(item, f"{name}[{i}].")
        elif value is not None:
            rows.append((name, _short(value)))
    return rows if prefix else rows[:_MOST]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."
