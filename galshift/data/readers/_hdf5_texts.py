"""What values of variable length in HDF5 claim, found before they are read: a reference is 16 bytes.

A text lies in a heap of the file, and any number of references may lead to the same one.  Writers store each
text once, so that all of them together are never larger than their file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from galshift.bounds import size, stored_bytes
from galshift.errors import DataError

#: Fewer bytes than this are read whatever they were stored in.
MOST_SHARED = 30_000_000
_ROWS = 1 << 16


def check_texts_claimed(data: Any, path: object) -> None:
    """Refuse a data set whose values of variable length are together larger than the file.

    Raises
    ------
    DataError
        With the limit.
    """
    if not data.dtype.hasobject or not data.size:
        return
    claimed, most = 0, max(MOST_SHARED, stored_bytes(Path(data.file.filename)))
    for found in _lengths(data):
        claimed += found
        if claimed > most:
            raise DataError(
                f"the values of '{data.name}' claim more than {size(most)}, the limit of this file",
                where=path,
                hint="write it anew, each value once",
            )


def _lengths(data: Any) -> Iterator[int]:
    """Yield the bytes that the values of some rows claim, piece by piece."""
    import h5py

    layout = data.id.get_create_plist().get_layout()
    if layout == h5py.h5d.COMPACT:  # at most 64 kB of references: read one by one
        for place in np.ndindex(data.shape):
            value = data[place]
            yield sum(_bytes_of(one) for one in (value.tolist() if data.dtype.names else (value,)))
        return
    places, width = _places(data.id.get_type(), data.file.id.get_create_plist().get_sizes()[0])
    for raw in _contiguous(data, width) if layout == h5py.h5d.CONTIGUOUS else _chunks(data, width):
        rows = np.frombuffer(raw, np.uint8)[: len(raw) // width * width].reshape(-1, width)
        for place, item in places:
            lengths = np.ascontiguousarray(rows[:, place : place + 4]).view("<u4")
            yield item * int(lengths.sum(dtype=np.uint64))


def _bytes_of(value: Any) -> int:
    return len(value) if isinstance(value, bytes | str) else int(np.asarray(value).nbytes)


def _places(kind: Any, address: int) -> tuple[list[tuple[int, int]], int]:
    """Return (byte, bytes an item) of each value of variable length in a stored element, and its width."""
    import h5py

    reference = 4 + address + 4  # length, where the heap is, number in it
    if isinstance(kind, h5py.h5t.TypeVlenID):
        return [(0, kind.get_super().get_size())], reference
    if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
        return [(0, 1)], reference
    if not isinstance(kind, h5py.h5t.TypeCompoundID):
        return [], kind.get_size()
    # In memory, which offsets are of, values of variable length are narrower or wider than in the file.
    found, shift = [], 0
    members = [(kind.get_member_offset(i), kind.get_member_type(i)) for i in range(kind.get_nmembers())]
    for offset, member in sorted(members, key=lambda one: one[0]):
        inner, width = _places(member, address)
        found += [(offset + shift + place, item) for place, item in inner]
        shift += width - member.get_size()
    return found, kind.get_size() + shift


def _contiguous(data: Any, width: int) -> Iterator[bytes]:
    start = data.id.get_offset()
    if start is None:  # nothing has been written
        return
    with open(data.file.filename, "rb") as stream:
        stream.seek(start)
        left = data.size * width
        while left > 0 and (piece := stream.read(min(left, _ROWS * width))):
            left -= len(piece)
            yield piece


def _chunks(data: Any, width: int) -> Iterator[bytes]:
    """Yield the stored bytes of each chunk, unpacked by the library as bytes without a meaning."""
    import h5py

    plist = data.id.get_create_plist()
    for number in range(data.id.get_num_chunks()):
        mask, raw = data.id.read_direct_chunk(data.id.get_chunk_info(number).chunk_offset)
        if not plist.get_nfilters():
            yield raw
            continue
        with h5py.File("chunk", "w", driver="core", backing_store=False) as file:
            # What a filter could not do, as shuffle cannot with such values, stands in the mask.
            used = [i for i in range(plist.get_nfilters()) if not mask >> i & 1]
            filters = [plist.get_filter(i)[:3] for i in used]
            # Shuffle takes bytes apart by the size of an item that it was told.
            shuffled = (values for code, _, values in filters if code == h5py.h5z.FILTER_SHUFFLE)
            item = next((values[0] for values in shuffled if values), width)
            shape = (math.prod(data.chunks) * width // item,)
            same = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            same.set_chunk(shape)
            for one in filters:
                same.set_filter(*one)
            kind = h5py.h5t.py_create(np.dtype(f"V{item}"))
            copied = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple(shape), same)
            copied.write_direct_chunk((0,), raw)
            yield h5py.Dataset(copied)[()].tobytes()
