"""``attack.fits``: one row an image, the vulnerability maps, and on request the changed images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

from galshift.data.fits_text import ascii_columns, escaped, needs_escape, note_escapes
from galshift.provenance import atomic_path

# Column of a pixel that was not changed, and of a search that did not need it.
NONE = -1


@dataclass(frozen=True)
class Side:
    """One attacked model's rows (JSON-able), maps (M, S, S), and changed images by row number, if wanted."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    maps: np.ndarray
    images: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None


def write_attack(path: Path, sides: Sequence[Side], header: Mapping[str, Any]) -> Path:
    """Write the tables and maps of one or two attacked models.

    The first model's extensions are ``ATTACK``, ``MAPS`` and, where images are saved, ``BEFORE`` and
    ``AFTER`` (stretched, as the network sees them); the second's end in ``_2``.  Column ``map`` of a row is
    the plane of its map or -1, ``image`` likewise.
    """
    units = [fits.PrimaryHDU()]
    for key, value in header.items():
        units[0].header[key] = value
    for number, side in enumerate(sides):
        suffix = "" if number == 0 else f"_{number + 1}"
        columns, changed = ascii_columns(_columns(side), path)
        table = fits.BinTableHDU(
            Table({k: _with_width(v) for k, v in columns.items()}), name=f"ATTACK{suffix}"
        )
        table.header["MODEL"] = escaped(side.name) if needs_escape([side.name]) else side.name
        note_escapes(table.header, changed)
        units.append(table)
        if len(side.maps):
            maps = fits.ImageHDU(side.maps, name=f"MAPS{suffix}")
            maps.header["BUNIT"] = ("", "drop of the probability of the true class")
            units.append(maps)
        if side.images:
            for name, position in (("BEFORE", 0), ("AFTER", 1)):
                stack = np.stack([pair[position] for pair in side.images.values()])
                units.append(fits.ImageHDU(stack, name=f"{name}{suffix}"))
    with atomic_path(path) as temporary:
        fits.HDUList(units).writeto(temporary)
    return path


def _columns(side: Side) -> dict[str, Any]:
    rows = side.rows
    depth = max((len(row.get("rows", ())) for row in rows), default=0) or 1
    columns: dict[str, Any] = {}
    for name in ("id", "status", "label", "prediction", "prediction_after", "fault", "variant_name"):
        columns[name] = np.array([_text(row.get(name)) for row in rows], dtype=str)
    for name in ("p_before", "p_after", "flip_share", "latent_distance"):
        columns[name] = np.array([_number(row.get(name)) for row in rows])
    for name in ("flipped", "certified"):
        columns[name] = np.array([bool(row.get(name)) for row in rows])
    columns["flipped_locally"] = np.array([_code(row.get("flipped_locally")) for row in rows], np.int16)
    for name in ("queries", "queries_to_flip", "seed", "map"):
        columns[name] = np.array([NONE if row.get(name) is None else row[name] for row in rows], np.int64)
    for name, key in (("y", "rows"), ("x", "columns")):
        columns[name] = _padded([row.get(key, ()) for row in rows], depth)
    columns["band"] = np.array([" ".join(row.get("bands", ())) for row in rows], dtype=str)
    columns["value"] = np.array([_values(row.get("amplitudes", ())) for row in rows], dtype=str)
    first = [row.get("first") or (NONE, NONE, NONE) for row in rows]
    for position, name in enumerate(("first_y", "first_x", "first_variant")):
        columns[name] = np.array([entry[position] for entry in first], np.int32)
    if side.images is not None:
        order = {number: plane for plane, number in enumerate(side.images)}
        columns["image"] = np.array([order.get(i, NONE) for i in range(len(rows))], np.int32)
    return columns


def _padded(lists: Sequence[Sequence[int]], depth: int) -> np.ndarray:
    out = np.full((len(lists), depth), NONE, np.int32)
    for row, values in zip(out, lists):
        row[: len(values)] = values
    return out[:, 0] if depth == 1 else out


def _values(amplitudes: Sequence[Sequence[float]]) -> str:
    return " ".join(",".join(f"{value:.6g}" for value in pixel) for pixel in amplitudes)


def _with_width(values: np.ndarray) -> np.ndarray:
    """A text column of width 0 cannot be read back."""
    if values.dtype.kind == "U":
        return values.astype("U1") if values.dtype.itemsize == 0 else values
    return values


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _code(value: bool | None) -> int:
    return NONE if value is None else int(value)
