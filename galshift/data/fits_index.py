"""The header index of a folder of FITS files: read once, remembered, checked by size and time.

It is kept in the user's cache folder (``$XDG_CACHE_HOME/galshift/index``, by default below ``~/.cache``), so
that nothing is written where data lie.  Files whose headers say the same share one description, so that
100 000 of them make a small index.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import zlib
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from galshift.console import progress
from galshift.data.compact import Files, Texts, in_order
from galshift.data.fits_file import describe
from galshift.data.open import FITS_SUFFIXES
from galshift.errors import DataError, ResourceError
from galshift.provenance import atomic_path
from galshift.user_cache import user_cache

VERSION = 6
# No name of a file below a folder has two slashes together.
_BETWEEN = b"//"


def fits_files(folder: Path) -> Files:
    """Return the FITS files below `folder`, sorted; hidden files and folders are passed over."""
    return files_below(folder, FITS_SUFFIXES)


def files_below(folder: Path, suffixes: tuple[str, ...]) -> Files:
    """Return the files below `folder` whose names end so, sorted; hidden ones are passed over."""
    found = Texts()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                found.append(os.path.join(place, name))
    # Sorted as words between slashes, before they become paths, whose comparison is slow.
    return Files(Texts(found[place] for place in in_order(found)))


def index_files(folder: Path, files: Sequence[Path]) -> list[list[dict[str, Any]] | str]:
    """Return each file's :func:`~galshift.data.fits_file.describe`, or the sentence that says why there is
    none.

    Parameters
    ----------
    folder : Path
        What the index belongs to.
    files : sequence of Path
        Below `folder`.
    """
    names = below(folder, files)
    sizes, times = array("q"), array("q")
    for file in files:
        size, time = _stamp(file)
        sizes.append(size)
        times.append(time)
    result, same = _known(folder, names, sizes, times)
    new = array("q", (i for i, found in enumerate(result) if found is None))
    for i, found in zip(new, _describe_all(files, new)):
        result[i] = found
    if new or not same:
        _save(folder, names, sizes, times, result)
    return result


def _known(
    folder: Path, names: Texts, sizes: array, times: array
) -> tuple[list[list[dict[str, Any]] | str | None], bool]:
    """Return what the index knows of files that have not changed, else None, and if it is of these files."""
    nothing: list[Any] = [None] * len(names)
    try:
        stored = json.loads(index_place(folder).read_bytes())
        if stored["version"] != VERSION or stored["order"] != sys.byteorder:
            return nothing, False
        joined = _unpacked(stored["names"])
        same = joined == _joined(names)
        place = {} if same else {name: i for i, name in enumerate(_split(joined))}
        known = {key: array("q", _unpacked(stored[key])) for key in ("sizes", "times", "kind")}
        result = list(nothing)
        for i, name in enumerate(names):
            at = i if same else place.get(name, -1)
            if at >= 0 and known["sizes"][at] == sizes[i] and known["times"][at] == times[i]:
                result[i] = stored["kinds"][known["kind"][at]]
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, zlib.error):
        return nothing, False
    return result, same


def _joined(names: Texts) -> bytes:
    return _BETWEEN.join(map(names.encoded, range(len(names))))


def _split(joined: bytes) -> list[str]:
    return [name.decode("utf-8", "surrogatepass") for name in joined.split(_BETWEEN)]


def _packed(held: bytes) -> str:
    return base64.b64encode(zlib.compress(held, 1)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def _stamp(file: Path) -> tuple[int, int]:
    """Return size and time of a file; of a link that leads nowhere, what no file has."""
    try:
        stat = os.stat(file)
    except OSError:
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)


def below(folder: Path, files: Sequence[Path]) -> Texts:
    """Return the names of files relative to `folder`, quickly where they lie below it."""
    start = f"{folder}{os.sep}"
    texts = files.texts if isinstance(files, Files) else map(str, files)
    return Texts(
        text[len(start) :] if text.startswith(start) else os.path.relpath(text, folder) for text in texts
    )


def describe_or_say(path: Path) -> list[dict[str, Any]] | str:
    """Return a file's description, or the sentence of the error that it raised."""
    try:
        return describe(path)
    except DataError as error:
        return error.what


def _describe_all(files: Sequence[Path], wanted: Sequence[int]) -> list[list[dict[str, Any]] | str]:
    found: list[list[dict[str, Any]] | str] = []
    same: dict[str, list[dict[str, Any]] | str] = {}  # files whose headers say the same share a description
    with progress("reading headers", len(wanted)) as bar:
        for number in wanted:
            said = describe_or_say(files[number])
            found.append(same.setdefault(json.dumps(said, sort_keys=True), said))
            bar.advance()
    return found


def index_place(folder: Path) -> Path:
    """Return where the index of `folder` is kept."""
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return user_cache("index") / f"{key}.json"


def _save(folder: Path, names: Texts, sizes: array, times: array, found: list[Any]) -> None:
    kinds: dict[str, int] = {}
    different = {id(item): item for item in found}  # files whose headers say the same share a description
    numbers = {
        key: kinds.setdefault(json.dumps(item, sort_keys=True), len(kinds)) for key, item in different.items()
    }
    kind = array("q", (numbers[id(item)] for item in found))
    # A Python object for each of 10^5 names and numbers would take more than all that is kept of them.
    stored = {
        "version": VERSION,
        "order": sys.byteorder,
        "names": _packed(_joined(names)),
        "sizes": _packed(sizes.tobytes()),
        "times": _packed(times.tobytes()),
        "kind": _packed(kind.tobytes()),
        "kinds": [json.loads(text) for text in kinds],
    }
    # An index only saves time: a cache that cannot be written is done without.
    with suppress(OSError, ResourceError), atomic_path(index_place(folder)) as temporary:
        temporary.write_text(json.dumps(stored), encoding="utf-8")
