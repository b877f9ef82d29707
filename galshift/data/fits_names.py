"""What the names of FITS files say: which galaxy, which band, which part a file plays."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from galshift.data.roles import file_role_of, is_band
from galshift.errors import DataError


def combine(stems: Sequence[str], pattern: str | None) -> list[tuple[str, str | None, str | None]]:
    """Return (galaxy, band, role) of each file from its name; band and role None where the name says neither.

    With `pattern` (``{id}_{band}``), names must follow it.  Without, a word of the name that is a filter on
    every file is the band when the rest of the name occurs with more than one band; a last word such as
    ``sci``, ``rms``, ``mask`` or ``psf`` is the role.
    """
    if pattern is not None:
        return [_by_pattern(stem, pattern) for stem in stems]
    if not say_parts(stems):
        return [(stem, None, None) for stem in stems]
    words = [re.split(r"([_\-. ]+)", stem) for stem in stems]
    roles = [_role(parts) for parts in words]
    bare = [[w for w in parts if file_role_of(w) is None] for parts in words]
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


def say_parts(stems: Iterable[str]) -> bool:
    """Return whether a word of any of these names is a filter, or the role of a file."""
    words = (word for stem in stems for word in re.split(r"[_\-. ]+", stem))
    return any(file_role_of(word) is not None or is_band(word) for word in words)


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
        return stem, None, "ignore"
    found = match.groupdict()
    return found["id"], found.get("band"), file_role_of(found["role"]) if found.get("role") else None


def _role(words: Sequence[str]) -> str | None:
    """Return the role that a file's words name: the last of them, but a PSF is one wherever that stands."""
    found = [role for role in map(file_role_of, words) if role]
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
