"""How the images of FITS files make up galaxies with bands, masks and variances.

A *place* is where one plane of pixels lies: file number, HDU, and position along a cube's axis.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from galshift.data.fits_header import is_band, role_of
from galshift.errors import DataError

MAX_BANDS = 20
AUXILIARY = ("mask", "variance", "ivar", "sigma")


class Place(NamedTuple):
    """Where one plane lies; `file` and `plane` count from 0, `index` picks it from an array (None: all)."""

    file: int
    plane: int
    index: tuple[int | None, ...] = ()


@dataclass
class Galaxy:
    """One object: its science planes by band, and what goes with them (`None` band: for all bands)."""

    name: str
    science: dict[str, Place] = field(default_factory=dict)
    extra: dict[tuple[str, str | None], Place] = field(default_factory=dict)
    file: int = 0


def galaxies_of_file(
    number: int, stem: str, planes: Sequence[dict[str, Any]], bands: Sequence[str]
) -> tuple[list[Galaxy], list[str]]:
    """Return the galaxies of one file and what had to be assumed.

    A cube is bands where its header or the user names that many, or its axis is at most 20 long; else it is
    as many galaxies.  Extensions are bands where their names are filters; else each is a galaxy of its own.
    """
    science = [i for i, plane in enumerate(planes) if plane["role"] in (None, "science")]
    if not science:
        science = [i for i, plane in enumerate(planes) if plane["role"] == "psf"]
    if not science:
        raise DataError("it holds masks or variances only, and no image")
    named = [planes[i]["name"] for i in science]
    are_bands = len(science) > 1 and len(set(named)) == len(named)
    are_bands = are_bands and all(is_band(name) or name in bands for name in named)
    if len(science) > 1 and len(bands) == len(science) and not any(planes[i]["shape"][2:] for i in science):
        are_bands, named = True, list(bands)
    notes: list[str] = []
    galaxies: list[Galaxy] = []
    if are_bands:
        merged = Galaxy(stem, {name: Place(number, i) for name, i in zip(named, science)}, file=number)
        galaxies.append(merged)
    else:
        for i in science:
            label = f"{stem}[{planes[i]['hdu']}]" if len(science) > 1 else stem
            found, note = _galaxies_of_plane(Place(number, i), label, planes[i], bands)
            galaxies += found
            notes += note
    _attach_extras(galaxies, number, planes, science)
    return galaxies, notes


def _galaxies_of_plane(
    place: Place, name: str, plane: dict[str, Any], bands: Sequence[str]
) -> tuple[list[Galaxy], list[str]]:
    shape = plane["shape"]
    named = plane["name"] if is_band(plane["name"]) else None
    band = (bands[0] if len(bands) == 1 else plane["band"] or named) or "band0"
    if len(shape) == 2:
        return [Galaxy(name, {band: place}, file=place.file)], []
    # Leading axes of length 1, which radio images carry, are passed over.
    axes = [axis for axis, side in enumerate(shape) if side > 1 or axis >= len(shape) - 2]

    def at(**chosen: int) -> Place:
        picked = {int(axis[1:]): i for axis, i in chosen.items()}
        index = tuple(picked.get(axis, None if axis in axes else 0) for axis in range(len(shape)))
        return place._replace(index=index)

    if len(axes) == 2:
        return [Galaxy(name, {band: at()}, file=place.file)], []
    if len(axes) == 4:
        a, b = f"a{axes[0]}", f"a{axes[1]}"
        names = _names(shape[axes[1]], plane, bands)
        cubes = [{word: at(**{a: n, b: c}) for c, word in enumerate(names)} for n in range(shape[axes[0]])]
        return [Galaxy(f"{name}[{n}]", cube, file=place.file) for n, cube in enumerate(cubes)], []
    if len(axes) > 4:
        raise DataError(f"an image with {len(axes)} axes is not one that galshift can take apart")
    first, middle, last = (shape[axis] for axis in axes)
    # Bands come last where that axis is short, unless the last two make a square: then it is a stack.
    axis = axes[-1] if last <= MAX_BANDS < first and middle != last else axes[0]
    n, a = shape[axis], f"a{axis}"
    known = len(bands) == n or len(plane["bands"]) == n
    if known or (n <= MAX_BANDS and len(bands) != 1):
        names = _names(n, plane, bands)
        note = [] if known else [f"{name}: took the axis of {n} as bands (--bands names them)"]
        return [Galaxy(name, {word: at(**{a: i}) for i, word in enumerate(names)}, file=place.file)], note
    note = [f"{name}: took the axis of {n} as {n} galaxies"]
    return [Galaxy(f"{name}[{i}]", {band: at(**{a: i})}, file=place.file) for i in range(n)], note


def _names(n: int, plane: dict[str, Any], bands: Sequence[str]) -> tuple[str, ...]:
    if len(bands) == n:
        return tuple(bands)
    return tuple(plane["bands"]) if len(plane["bands"]) == n else tuple(f"band{i}" for i in range(n))


def _attach_extras(
    galaxies: list[Galaxy], number: int, planes: Sequence[dict[str, Any]], science: Sequence[int]
) -> None:
    """Give each galaxy the masks and variances that stand in the same file, in the order they come."""
    for role in AUXILIARY:
        extras = [i for i, plane in enumerate(planes) if plane["role"] == role]
        if not extras:
            continue
        if len(galaxies) == 1:
            galaxy = galaxies[0]
            bands = list(galaxy.science)
            if len(extras) == len(bands) > 1:
                galaxy.extra.update({(role, b): Place(number, i) for b, i in zip(bands, extras)})
            elif len(extras) == 1:
                for band, place in galaxy.science.items():
                    same = planes[extras[0]]["shape"] == planes[place.plane]["shape"]
                    galaxy.extra[role, band] = (
                        place._replace(plane=extras[0]) if same else Place(number, extras[0])
                    )
        elif len(extras) == len(science) == len(galaxies):
            for galaxy, i in zip(galaxies, extras):
                galaxy.extra[role, None] = Place(number, i)


def combine(stems: Sequence[str], pattern: str | None) -> list[tuple[str, str | None, str | None]]:
    """Return (galaxy, band, role) of each file from its name; band and role None where the name says neither.

    With `pattern` (``{id}_{band}``), names must follow it.  Without, a word of the name that is a filter on
    every file is the band when the rest of the name occurs with more than one band; a last word such as
    ``sci``, ``rms``, ``mask`` or ``psf`` is the role.
    """
    if pattern is not None:
        return [_by_pattern(stem, pattern) for stem in stems]
    words = [re.split(r"([_\-. ]+)", stem) for stem in stems]
    roles = [_role(parts) for parts in words]
    bare = [[w for w in parts if role_of(w) is None] for parts in words]
    if not any(roles) and not any(is_band(word) for parts in bare for word in parts):
        return [(stem, None, None) for stem in stems]
    best: list[tuple[str, str | None]] = [(stem, None) for stem in stems]
    # The position whose filters split names into the fewest galaxies is where the band is written.
    for position in sorted({i for parts in bare for i, w in enumerate(parts) if is_band(w)}):
        split = [_without(parts, position) for parts in bare]
        bands_of = defaultdict(set)
        for rest, band in split:
            if band is not None:
                bands_of[rest].add(band)
        grouped = [rest for rest, found in bands_of.items() if len(found) > 1]
        if grouped and sum(band is not None for _, band in split) * 2 > len(stems):
            best = split
            break
    tidy = [re.sub(r"([_\-. ])[_\-. ]+", r"\1", rest).strip("_-. ") for rest, _ in best]
    if any(band is not None for _, band in best):
        return [(name, band, role) for name, (_, band), role in zip(tidy, best, roles)]
    by_role = len({role for role in roles if role}) > 1
    return [
        (name if by_role and role else stem, None, role if by_role else None)
        for stem, name, role in zip(stems, _strip_roles(bare), roles)
    ]


def _strip_roles(bare: Sequence[Sequence[str]]) -> list[str]:
    return [re.sub(r"([_\-. ])[_\-. ]+", r"\1", "".join(parts)).strip("_-. ") for parts in bare]


def _without(parts: Sequence[str], position: int) -> tuple[str, str | None]:
    if position < len(parts) and is_band(parts[position]):
        return "".join([*parts[:position], *parts[position + 1 :]]), parts[position]
    return "".join(parts), None


def _by_pattern(stem: str, pattern: str) -> tuple[str, str | None, str | None]:
    text = re.sub(r"\.(fits|fit|fts)(\.(gz|bz2|fz))?$", "", pattern)
    if "{id}" not in text:
        raise DataError(f"the pattern '{pattern}' has no {{id}}", hint="such as --pattern '{id}_{band}.fits'")
    expression = re.escape(text)
    for name, part in (("id", ".+?"), ("band", "[^_.-]+"), ("role", "[^_.-]+")):
        expression = expression.replace(re.escape("{" + name + "}"), f"(?P<{name}>{part})", 1)
    match = re.fullmatch(expression, stem)
    if match is None:
        return stem, None, "ignored"
    found = match.groupdict()
    return found["id"], found.get("band"), role_of(found["role"]) if found.get("role") else None


def _role(words: Sequence[str]) -> str | None:
    """Return the role that a file's words name: the last of them, but a PSF is one wherever that stands."""
    found = [role for role in map(role_of, words) if role]
    return "psf" if "psf" in found else found[-1] if found else None


_WAVELENGTHS = ("fuv", "nuv", *"ubgv", "vis", "r", "rc", "i", "ic", *"zyjhk", "ks", "w1", "w2", "w3", "w4")


def by_wavelength(bands: Sequence[str]) -> list[str]:
    """Return bands from blue to red where all of them are known filters of one kind, else as they are."""
    folded = [band.casefold() for band in bands]
    if all(band in _WAVELENGTHS for band in folded):
        return [band for _, band in sorted(zip(folded, bands), key=lambda pair: _WAVELENGTHS.index(pair[0]))]
    numbers = [re.fullmatch(r"f(\d+)\w*", band) for band in folded]
    if bands and all(numbers):
        return [band for _, band in sorted(zip((int(m.group(1)) for m in numbers), bands))]
    return list(bands)
