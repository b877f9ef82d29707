"""Long lists in little memory: the files and galaxies of a survey, tens of bytes each.

A Python object for each of 10^5 files and galaxies takes kilobytes; their texts end to end, and numbers
beside them, take what they are long.  The objects are made anew when one is asked for, so that a change to
one is lost.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np

from galshift.data.fits_layout import Galaxy, Place


class Texts(Sequence[str]):
    """Texts, appended and read, but not changed."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes, self._ends, self._longest = bytearray(), array("q", [0]), 1
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add one at the end."""
        # File names may hold bytes that are no text.
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))
        self._longest = max(self._longest, len(text))

    def array(self) -> np.ndarray:
        """Return them as a (N,) array of str, without a Python object for each at a time."""
        found = np.empty(len(self), dtype=f"U{self._longest}")
        for place in range(len(self)):
            found[place] = self[place]
        return found

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> str:
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return self.encoded(place % len(self)).decode("utf-8", "surrogatepass")

    def encoded(self, place: int) -> bytes:
        """Return the text at `place`, from 0, in UTF-8, whose order is that of the text."""
        return bytes(self._bytes[self._ends[place] : self._ends[place + 1]])


class Files(Sequence[Path]):
    """Paths of files; `texts` are the same as text."""

    def __init__(self, paths: Texts | Iterable[str | Path]) -> None:
        self.texts = paths if isinstance(paths, Texts) else Texts(map(str, paths))

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> list[Path]: ...
    def __getitem__(self, place: int | slice) -> Path | list[Path]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        return Path(self.texts[place])


class Galaxies(Sequence[Galaxy]):
    """Galaxies of FITS files: most are laid out as others are, but for file, plane and place in a stack.

    What they have in common is kept once, relative to the first science plane.
    """

    def __init__(self, galaxies: Iterable[Galaxy] = ()) -> None:
        self._names = Texts()
        self._file, self._first, self._plane, self._row, self._layout = (array("i") for _ in range(5))
        self._layouts: list[Any] = []
        self._known: dict[Any, int] = {}
        for galaxy in galaxies:
            self.append(galaxy)

    def append(self, galaxy: Galaxy) -> None:
        """Add one at the end."""
        base = next(iter(galaxy.science.values()), Place(galaxy.file, 0))
        row = base.index[0] if base.index and base.index[0] is not None else -1
        layout = (
            tuple((band, _relative(place, base, row)) for band, place in galaxy.science.items()),
            tuple(
                (key, tuple(_relative(place, base, row) for place in places))
                for key, places in galaxy.extra.items()
            ),
        )
        number = self._known.setdefault(layout, len(self._layouts))
        if number == len(self._layouts):
            self._layouts.append(layout)
        self._names.append(galaxy.name)
        for values, value in (
            (self._file, galaxy.file),
            (self._first, base.file),
            (self._plane, base.plane),
            (self._row, row),
            (self._layout, number),
        ):
            values.append(value)

    def renamed(self, bands: Sequence[str]) -> Galaxies:
        """Return them with other names for the bands of their images, in the order of these."""
        return Galaxies(
            Galaxy(each.name, dict(zip(bands, each.science.values())), each.extra, each.file) for each in self
        )

    @property
    def names(self) -> Texts:
        """What they are called."""
        return self._names

    @property
    def files(self) -> array:
        """The number of the file that each is of."""
        return self._file

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, place: int) -> Galaxy:
        name = self._names[place]
        base, row = Place(self._first[place], self._plane[place]), self._row[place]
        science, extra = self._layouts[self._layout[place]]
        return Galaxy(
            name,
            {band: _absolute(one, base, row) for band, one in science},
            {key: tuple(_absolute(one, base, row) for one in places) for key, places in extra},
            self._file[place],
        )

    def __iter__(self) -> Iterator[Galaxy]:
        return (self[place] for place in range(len(self)))


class Rows(Sequence[list[int]]):
    """Some whole numbers for each of many things: the rows of a table that name an image."""

    def __init__(self, rows: Iterable[Iterable[int]] = ()) -> None:
        self._rows, self._ends = array("q"), array("q", [0])
        for here in rows:
            self._rows.extend(here)
            self._ends.append(len(self._rows))

    @property
    def single(self) -> np.ndarray | None:
        """The one row of each, (N,) int64; None where one has none or several."""
        counts = np.diff(np.frombuffer(self._ends, dtype=np.int64))
        return np.array(self._rows, dtype=np.int64) if (counts == 1).all() else None

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> list[int]:
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        return self._rows[self._ends[place] : self._ends[place + 1]].tolist()


class Words:
    """Texts of which many are the same: the different ones, and which of them each is.

    Attributes
    ----------
    different : list of str
        In the order in which they come.
    codes : ndarray
        (N,) int64, places in `different`.
    """

    def __init__(self, words: Iterable[str]) -> None:
        known: dict[str, int] = {}
        codes = array("q", (known.setdefault(word, len(known)) for word in words))
        self.different, self.codes = list(known), np.frombuffer(codes, dtype=np.int64)

    @property
    def counts(self) -> Counter[str]:
        """How often each stands there."""
        found = np.bincount(self.codes, minlength=len(self.different)).tolist()
        return Counter(dict(zip(self.different, found)))


def all_different(texts: Iterable[str]) -> bool:
    """Return whether no two of some texts, which are gone through twice at most, are the same."""
    hashes = np.frombuffer(array("q", map(hash, texts)), dtype=np.int64)
    # Different texts have the same hash once in 10^9 surveys of 10^5.
    return np.unique(hashes).size == hashes.size or len(set(texts)) == hashes.size


def in_order(paths: Texts) -> Sequence[int]:
    """Return the places of paths in the order of :class:`~pathlib.Path`: as words between slashes."""

    def key(place: int) -> bytes:
        return paths.encoded(place).replace(os.sep.encode(), b"\0")

    if all(one <= other for one, other in pairwise(map(key, range(len(paths))))):
        return range(len(paths))
    return sorted(range(len(paths)), key=key)


def _relative(place: Place, base: Place, row: int) -> Place:
    index = place.index
    if row >= 0 and index and index[0] == row:
        index = (-1, *index[1:])
    return Place(place.file - base.file, place.plane - base.plane, index)


def _absolute(place: Place, base: Place, row: int) -> Place:
    index = place.index
    if index and index[0] == -1:
        index = (row, *index[1:])
    return Place(place.file + base.file, place.plane + base.plane, index)
