"""What values of variable length claim is what they are, however they are stored."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from galshift.bounds import stored_bytes
from galshift.data.readers._hdf5_texts import _lengths

_WORDS = [("galaxy " * i).encode() for i in range(300)]
_STORAGE = {
    "contiguous": {},
    "chunks": {"chunks": (64,)},
    "gzip": {"chunks": (64,), "compression": "gzip"},
    "shuffle": {"chunks": (77,), "compression": "gzip", "shuffle": True},
    "shuffle in two": {"chunks": (31,), "compression": "lzf", "shuffle": True},
    "lzf": {"chunks": (300,), "compression": "lzf"},
}


@pytest.mark.parametrize("how", _STORAGE)
def test_texts_claim_what_they_are(how: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=_WORDS, dtype=h5py.string_dtype(), **_STORAGE[how])
    with h5py.File(tmp_path / "x.h5") as file:
        assert sum(_lengths(file["x"])) == sum(map(len, _WORDS))


@pytest.mark.parametrize("how", _STORAGE)
def test_texts_and_lists_among_numbers_claim_what_they_are(how: str, tmp_path: Path) -> None:
    kind = np.dtype(
        [("a", "f8"), ("name", h5py.string_dtype()), ("b", "i2"), ("r", h5py.vlen_dtype("f4")), ("c", "S3")]
    )
    rows = np.zeros(300, kind)
    rows["name"], rows["c"] = _WORDS, b"abc"
    for i in range(300):
        rows["r"][i] = np.ones(i % 7, "f4")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=rows, **_STORAGE[how])
    with h5py.File(tmp_path / "x.h5") as file:
        wanted = sum(map(len, _WORDS)) + 4 * sum(i % 7 for i in range(300))
        assert sum(_lengths(file["x"])) == wanted


def test_texts_in_a_header_claim_what_they_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        kind = h5py.h5t.py_create(h5py.string_dtype(), logical=True)
        made = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((300,)), plist)
        h5py.Dataset(made)[:] = _WORDS
    with h5py.File(tmp_path / "x.h5") as file:
        assert sum(_lengths(file["x"])) == sum(map(len, _WORDS))


def test_holes_are_not_stored(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 10_000)
    assert stored_bytes(path) == 10_000
    with path.open("r+b") as stream:
        stream.truncate(1 << 30)
        stream.seek(1 << 29)
        stream.write(b"y" * 10_000)
    assert 20_000 <= stored_bytes(path) <= 200_000
