"""What every HDF5 layout needs: opening, links, rows and texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from galshift.errors import DataError

_GAP_BYTES = 256 << 10


def open_file(path: Path) -> Any:
    """Open an HDF5 file for reading.

    Raises
    ------
    DataError
        When it is not HDF5, is truncated, or holds a link that leads out of the file.
    """
    import h5py

    try:
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, ValueError) as error:
        what = "it is truncated" if "truncated" in str(error) else " ".join(str(error).split())
        raise DataError(
            f"this HDF5 file cannot be opened: {what}", where=path, hint="copy or download it again"
        ) from error
    try:
        refuse_links_out(file, path)
    except BaseException:
        file.close()
        raise
    return file


def refuse_links_out(group: Any, path: object, depth: int = 0) -> None:
    """Refuse links and storage outside the file: opening a data set must not open another file."""
    import h5py

    try:
        names = list(group) if depth < 8 else []
        for name in names:
            link = group.get(name, getlink=True)
            item = group[name] if isinstance(link, h5py.HardLink) else None
            outside = isinstance(link, h5py.ExternalLink)
            if isinstance(item, h5py.Dataset):
                outside = bool(item.external) or item.is_virtual
            if outside:
                place = f"{group.name.rstrip('/')}/{name}"
                raise DataError(
                    f"'{place}' leads to another file, which galshift does not follow",
                    where=path,
                    hint="copy the data into this file (h5repack, or h5py's copy)",
                )
            if isinstance(item, h5py.Group):
                refuse_links_out(item, path, depth + 1)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise DataError(f"this HDF5 file is damaged: {' '.join(str(error).split())}", where=path) from error


def read_rows(data: Any, rows: np.ndarray) -> np.ndarray:
    """Return ``data[rows]`` in that order, reading runs of near neighbours at once."""
    out = np.empty((len(rows), *data.shape[1:]), dtype=data.dtype)
    if not len(rows):
        return out
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    row_bytes = max(1, out[:1].nbytes)
    # A gap is read over where that costs less than another call, but never more than it gives.
    gap = 1 + min(_GAP_BYTES // row_bytes, 64)
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - gap - 1) > gap)
    for start, end in zip(starts, np.append(starts[1:], len(ordered))):
        first, last = int(ordered[start]), int(ordered[end - 1]) + 1
        # A row that is asked for twice can make up for one that is left out: the count alone says nothing.
        whole = np.array_equal(ordered[start:end], np.arange(first, last))
        if whole and np.array_equal(order[start:end], np.arange(start, end)):
            data.read_direct(out, np.s_[first:last], np.s_[int(start) : int(end)])
        else:
            out[order[start:end]] = data[first:last][ordered[start:end] - first]
    return out


def texts(values: Any) -> np.ndarray:
    """Return an HDF5 text data set as a numpy array of str."""
    return np.asarray(
        [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values], dtype=str
    )


def attribute_text(file: Any, name: str) -> str | None:
    """Return an attribute as text, None where there is none or it is empty."""
    value = file.attrs.get(name)
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return str(value) if value is not None and str(value) else None


def attribute_list(file: Any, name: str) -> list[str]:
    """Return an attribute as a list of words: JSON, an array of texts, or words with commas between."""
    value = file.attrs.get(name)
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if value is None:
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [word.strip() for word in value.replace(";", ",").split(",")]
    value = [value] if isinstance(value, str) or np.ndim(value) == 0 else value
    return [item.decode() if isinstance(item, bytes) else str(item) for item in value]


def numbers_of(file: Any, name: str) -> float | np.ndarray | None:
    """Return the data set, or else the attribute, of a number; None where there is neither.

    Raises
    ------
    DataError
        When the attribute is no number.
    """
    if name in file:
        return file[name][:]
    value = file.attrs.get(name)
    try:
        return None if value is None else float(np.asarray(value).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        raise DataError(f"its attribute '{name}' is no number: {value!r}", where=file.filename) from None


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
