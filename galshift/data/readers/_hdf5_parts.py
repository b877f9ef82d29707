"""What every HDF5 layout needs: opening, links, rows and texts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from galshift import plain
from galshift.bounds import check_unpacked, plain_file
from galshift.data.readers._hdf5_texts import check_texts_claimed
from galshift.data.table_bounds import check_text_width, check_texts
from galshift.errors import DataError

_GAP_BYTES = 256 << 10
_TEXTS = 4096  # that are read at once: each is an object for a while
_MOST_NAMES = 1_000_000


def open_file(path: Path) -> Any:
    """Open an HDF5 file for reading.

    Raises
    ------
    DataError
        When it is not HDF5, is truncated, holds a link that leads out of the file, or claims to hold more
        than it can.
    """
    import h5py

    plain_file(path)
    try:
        file = h5py.File(path, "r", locking=False)
    except Exception as error:  # the library passes damage on in classes that its version chooses
        what = "it is truncated" if "truncated" in str(error) else one_line(error)
        raise DataError(
            f"this HDF5 file cannot be opened: {what}", where=path, hint="copy or download it again"
        ) from error
    try:
        refuse_links_out(file, path)
    except BaseException:
        file.close()
        raise
    return file


def refuse_links_out(file: Any, path: object) -> None:
    """Refuse links and storage outside the file, loops of soft links, and chunks that are bombs.

    Opening a data set must not open another file.  Every group is visited once, however many names it has.
    """
    import h5py

    waiting, seen, names = [file], set(), 0
    try:
        while waiting:
            group = waiting.pop()
            for name in group:
                names += 1
                if names > _MOST_NAMES:
                    raise DataError(f"it holds more than {_MOST_NAMES} names, the limit", where=path)
                place = f"{group.name.rstrip('/')}/{name}"
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise _leads_out(place, path)
                item = group[name] if isinstance(link, h5py.HardLink) else None
                if isinstance(item, h5py.Dataset):
                    if item.external or item.is_virtual:
                        raise _leads_out(place, path)
                    check_data(item, path)
                elif isinstance(item, h5py.Group):
                    address = h5py.h5o.get_info(item.id).addr
                    if address not in seen:
                        seen.add(address)
                        waiting.append(item)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"this HDF5 file is damaged: {one_line(error)}", where=path) from error


def _leads_out(place: str, path: object) -> DataError:
    return DataError(
        f"'{place}' leads to another file, which galshift does not follow",
        where=path,
        hint="copy the data into this file (h5repack, or h5py's copy)",
    )


def check_data(data: Any, path: object, *, whole: bool = False) -> None:
    """Refuse a data set that is far larger than the bytes it has in the file.

    Parameters
    ----------
    data : h5py.Dataset
    path : path-like
    whole : bool
        Whether all of it is to be read at once, rather than some rows.

    Raises
    ------
    DataError
        When one of its rows or chunks, or with `whole` all of it, would unpack to too much.
    """
    if getattr(data, "shape", None) is None:
        raise DataError(f"'{data.name}' has no values", where=path)
    stored, item = data.id.get_storage_size(), data.dtype.itemsize
    units = [
        math.prod(data.shape[1:]),
        math.prod(data.chunks or (0,)) if data.id.get_create_plist().get_nfilters() else 0,
    ]
    units += [math.prod(data.shape)] if whole else []
    check_unpacked(item * max(units), stored, path, what=f"'{data.name}'")
    check_texts_claimed(data, path)


def check_rows(data: Any, path: object) -> None:
    """Refuse images whose number cannot be true: each is given a name, whatever is stored of it.

    Raises
    ------
    DataError
        When it is more than the file can hold.
    """
    name_bytes = 4 * len(str(len(data)))
    check_unpacked(name_bytes * len(data), data.id.get_storage_size(), path, what=f"'{data.name}'")


def whole(data: Any, path: object) -> np.ndarray:
    """Return all of a data set, after :func:`check_data`."""
    check_data(data, path, whole=True)
    return data[()]


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


def texts(values: Any, where: object = None) -> np.ndarray:
    """Return an HDF5 text data set as a numpy array of str."""
    words = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
    check_texts([len(word) for word in words], where)
    return np.asarray(words, dtype=str)


def text_rows(data: Any, path: object) -> np.ndarray:
    """Return all of a text data set (N,) as a numpy array of str; little more than that is ever held."""
    check_data(data, path, whole=True)
    found, longest, total = np.empty(len(data), dtype=str), 0, 0
    for start in range(0, len(data), _TEXTS):
        part = texts(data[start : start + _TEXTS], path)
        lengths = np.char.str_len(part)
        longest, total = max(longest, int(lengths.max())), total + int(lengths.sum())
        check_text_width(longest, start + len(part), total, path)
        found = found.astype(f"U{max(longest, 1)}", copy=False)
        found[start : start + len(part)] = part
    return found


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
        except (ValueError, RecursionError):
            value = [word.strip() for word in value.replace(";", ",").split(",")]
    value = [value] if isinstance(value, str) or np.ndim(value) == 0 else value
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in value]


def numbers_of(file: Any, name: str) -> float | np.ndarray | None:
    """Return the data set, or else the attribute, of a number; None where there is neither.

    Raises
    ------
    DataError
        When the attribute is no number.
    """
    if name in file:
        return np.asarray(whole(file[name], file.filename))
    value = file.attrs.get(name)
    try:
        return None if value is None else float(np.asarray(value).reshape(-1)[0])
    except (TypeError, ValueError, IndexError):
        raise DataError(f"its attribute '{name}' is no number: {value!r}", where=file.filename) from None


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line, or its kind where it says nothing."""
    return plain.one_line(error, 300) or type(error).__name__
