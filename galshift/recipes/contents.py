"""What a file holds, in a line for each array: enough to say later how far another file is from it.

A line is ``dtype shape sha norm s1 ... s8``: sixteen digits of the sha256 of the values, the root of the sum
of their squares, and a sketch of them.  Each value is added, with a sign, to one of eight sums; sign and sum
follow from its place by a hash.  The distance of two sketches then estimates the distance of the arrays
themselves (Charikar, Chen & Farach-Colton 2002, the count sketch), exactly where one value alone has changed,
so that a lock can tell rounding from another result without holding any pixels.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

#: Arrays whose distance is at most this share of their own size are the same but for rounding.
TOLERANCE = 1e-5
_SUMS = 8
_AT_ONCE = 4_000_000
# A larger file is compared by its bytes alone.
_MOST_BYTES = 4_000_000_000

Parts = Iterator[tuple[str, np.ndarray]]


def described(path: Path) -> dict[str, str]:
    """Return a line for each array of a file by name; empty for a file that is compared by its bytes alone.

    Parameters
    ----------
    path : Path
        HDF5, FITS, ``.npy``, ``.npz``, ``.safetensors`` (pixels, tables, weights), or JSON, whose numbers are
        one array.  A file of another kind, or a broken one, has none.
    """
    read = _READERS.get(path.suffix)
    if read is None or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return {}
    try:
        return {name: _line(array) for name, array in read(path)}
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError, RecursionError):
        return {}  # not what its name says; its bytes are still compared


def distance(before: str, after: str) -> float | None:
    """Return how far two arrays are apart as a share of the first one's size; None for unlike shapes.

    0 for the same values bit for bit, NaN where neither line can tell (text, or values that are not finite).
    """
    one, other = before.split(" "), after.split(" ")
    if one[:2] != other[:2] or len(one) != len(other):
        return None
    if one[2] == other[2]:
        return 0.0
    numbers = [[float(text) for text in line[3:]] for line in (one, other)]
    if not numbers[0] or not all(map(math.isfinite, (*numbers[0], *numbers[1]))):
        return math.nan
    apart = math.dist(numbers[0][1:], numbers[1][1:])
    size = max(numbers[0][0], numbers[1][0])
    return apart / size if size and apart else math.nan


def _line(array: np.ndarray) -> str:
    array = np.asarray(array)
    shape = "x".join(map(str, array.shape)) or "1"
    if array.dtype.kind not in "biufc":
        text = "\0".join(_text(item) for item in array.ravel().tolist())
        sha = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return f"text {shape} {sha[:16]}"
    kind = array.dtype.newbyteorder("<")
    digest, sums, squares = hashlib.sha256(), np.zeros(_SUMS), 0.0
    flat = array.reshape(-1)
    for start in range(0, flat.size, _AT_ONCE):
        part = np.ascontiguousarray(flat[start : start + _AT_ONCE], dtype=kind)
        digest.update(part.tobytes())
        values = np.abs(part) if part.dtype.kind == "c" else part.astype(np.float64)
        values = np.where(np.isfinite(values), values, 0.0)
        place = _mixed(np.arange(start, start + part.size, dtype=np.uint64))
        sign = np.where(place & np.uint64(1), 1.0, -1.0)
        # bincount adds one value after the other: the same bits on every processor.
        sums += np.bincount((place >> np.uint64(61)).astype(np.intp), values * sign, _SUMS)
        squares += float(np.bincount(np.zeros(part.size, np.intp), values * values, 1)[0])
    numbers = " ".join(format(float(number), ".9g") for number in (math.sqrt(squares), *sums))
    return f"{array.dtype.name} {shape} {digest.hexdigest()[:16]} {numbers}"


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): every bit depends on all of the number."""
    mixed = numbers * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _text(item: Any) -> str:
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)


def _hdf5(path: Path) -> Parts:
    import h5py  # heavy, as are the readers' other libraries below: status without --verify reads no file

    with h5py.File(path) as file:
        found: list[str] = []
        file.visititems(lambda name, thing: found.append(name) if isinstance(thing, h5py.Dataset) else None)
        for name in sorted(found):
            yield name, file[name][()]


def _fits(path: Path) -> Parts:
    from astropy.io import fits

    with fits.open(path, memmap=True) as hdus:
        for number, hdu in enumerate(hdus):
            if hdu.data is None:
                continue
            place = hdu.name or str(number)
            columns = hdu.data.dtype.names
            if columns is None:
                yield place, hdu.data
            for column in columns or ():
                yield f"{place}.{column}", np.asarray(hdu.data[column])


def _numpy(path: Path) -> Parts:
    with np.load(path, allow_pickle=False) as file:
        yield from ((name, file[name]) for name in sorted(file.files))


def _numpy_alone(path: Path) -> Parts:
    yield "values", np.load(path, allow_pickle=False, mmap_mode="r")


# Of https://github.com/huggingface/safetensors: eight bytes of length, a JSON header, then the values.
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "?",
}


def _safetensors(path: Path) -> Parts:
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("a header that is longer than the file")
        header = json.loads(stream.read(length))
        for name in sorted(set(header) - {"__metadata__"}):
            told = header[name]
            begin, end = told["data_offsets"]
            stream.seek(8 + length + begin)
            raw = stream.read(end - begin)
            if told["dtype"] == "BF16":  # the upper half of a float32
                values = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
            else:
                values = np.frombuffer(raw, _DTYPES[told["dtype"]])
            yield name, values.reshape(told["shape"])


def _json(path: Path) -> Parts:
    yield from _of_tree(json.loads(path.read_text(encoding="utf-8")))


def _json_lines(path: Path) -> Parts:
    lines = path.read_text(encoding="utf-8").splitlines()
    yield from _of_tree([json.loads(line) for line in lines if line])


def _of_tree(tree: Any) -> Parts:
    numbers: list[float] = []
    words: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                words.append(key)
                walk(value[key])
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers.append(float(value))
        else:
            words.append(str(value))

    walk(tree)
    yield "numbers", np.array(numbers)
    yield "words", np.array(words, dtype=object)


_READERS: dict[str, Callable[[Path], Parts]] = {
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".fits": _fits,
    ".npz": _numpy,
    ".npy": _numpy_alone,
    ".safetensors": _safetensors,
    ".json": _json,
    ".jsonl": _json_lines,
}
