"""Long lists in little memory: the files and galaxies of a survey, tens of bytes each.

A Python object for each of 10^5 files and galaxies takes kilobytes; their texts end to end, and numbers
beside them, take what they are long.  The objects are made anew when one is asked for, so that a change to
one is lost.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from galshift.data.fits_layout import Galaxy, Place


class Texts(Sequence[str]):
    """Texts, appended and read, but not changed."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes, self._ends = bytearray(), array("q", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add one at the end."""
        # File names may hold bytes that are no text.
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> str:
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        return bytes(self._bytes[self._ends[place] : self._ends[place + 1]]).decode("utf-8", "surrogatepass")


class Files(Sequence[Path]):
    """Paths of files."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.texts = Texts(map(str, paths))

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
        self._file, self._first, self._plane, self._row, self._layout = (array("q") for _ in range(5))
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
    def names(self) -> Sequence[str]:
        """What they are called."""
        return self._names

    @property
    def files(self) -> Sequence[int]:
        """The file that each is of."""
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
