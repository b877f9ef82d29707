"""The header index of a folder of FITS files: read once, remembered, checked by size and time.

It is kept in the user's cache folder (``$XDG_CACHE_HOME/galshift/index``, by default below ``~/.cache``), so
that nothing is written where data lie.  Files whose headers say the same share one description, so that
100 000 of them make a small index.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from galshift.console import progress
from galshift.data.fits_file import describe
from galshift.data.open import FITS_SUFFIXES
from galshift.errors import DataError, ResourceError
from galshift.processes import process_pool
from galshift.provenance import atomic_path

VERSION = 4
_MANY = 2000


def fits_files(folder: Path) -> list[Path]:
    """Return the FITS files below `folder`, sorted; hidden files and folders are passed over."""
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(place, name)
            for name in names
            if name.lower().endswith(FITS_SUFFIXES) and not name.startswith(".")
        ]
    # Sorted as words between slashes, before they become paths, whose comparison is slow.
    return [Path(text) for text in sorted(found, key=lambda text: text.split(os.sep))]


def index_files(folder: Path, files: Sequence[Path], *, workers: int = 2) -> list[list[dict[str, Any]] | str]:
    """Return each file's :func:`~galshift.data.fits_file.describe`, or the sentence that says why there is
    none.

    Parameters
    ----------
    folder : Path
        What the index belongs to.
    files : sequence of Path
        Below `folder`.
    workers : int
        Processes that read headers when there are thousands of new files.
    """
    names = below(folder, files)
    stamps = [_stamp(file) for file in files]
    known = _load(folder)
    new = [i for i, name in enumerate(names) if known.get(name, (None,))[0] != stamps[i]]
    found: dict[int, list[dict[str, Any]] | str] = dict(
        zip(new, _describe_all([files[i] for i in new], workers))
    )
    result = [found[i] if i in found else known[name][1] for i, name in enumerate(names)]
    if new or len(known) != len(names):
        _save(folder, names, stamps, result)
    return result


def _stamp(file: Path) -> tuple[int, int]:
    """Return size and time of a file; of a link that leads nowhere, what no file has."""
    try:
        stat = os.stat(file)
    except OSError:
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)


def below(folder: Path, files: Sequence[Path]) -> list[str]:
    """Return the names of files relative to `folder`, quickly where they lie below it."""
    start = f"{folder}{os.sep}"
    texts = [str(file) for file in files]
    return [text[len(start) :] if text.startswith(start) else os.path.relpath(text, folder) for text in texts]


def describe_or_say(path: Path) -> list[dict[str, Any]] | str:
    """Return a file's description, or the sentence of the error that it raised."""
    try:
        return describe(path)
    except DataError as error:
        return error.what


def _describe_all(files: list[Path], workers: int) -> list[list[dict[str, Any]] | str]:
    found: list[list[dict[str, Any]] | str] = []
    with progress("reading headers", len(files)) as bar:
        if len(files) < _MANY or workers < 2:
            for file in files:
                found.append(describe_or_say(file))
                bar.advance()
            return found
        with process_pool(workers) as pool:
            for item in pool.map(describe_or_say, files, chunksize=256):
                found.append(item)
                bar.advance()
    return found


def index_place(folder: Path) -> Path:
    """Return where the index of `folder` is kept."""
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "galshift" / "index" / f"{key}.json"


def _load(folder: Path) -> dict[str, tuple[tuple[int, int], list[dict[str, Any]] | str]]:
    try:
        stored = json.loads(index_place(folder).read_text(encoding="utf-8"))
        if stored["version"] != VERSION:
            return {}
        kinds = stored["kinds"]
        rows = zip(stored["names"], stored["sizes"], stored["times"], stored["kind"], strict=True)
        return {name: ((size, time), kinds[kind]) for name, size, time, kind in rows}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}


def _save(folder: Path, names: list[str], stamps: list[tuple[int, int]], found: list[Any]) -> None:
    kinds: dict[str, int] = {}
    kind = [kinds.setdefault(json.dumps(item, sort_keys=True), len(kinds)) for item in found]
    stored = {
        "version": VERSION,
        "names": names,
        "sizes": [size for size, _ in stamps],
        "times": [time for _, time in stamps],
        "kind": kind,
        "kinds": [json.loads(text) for text in kinds],
    }
    # An index only saves time: a cache that cannot be written is done without.
    with suppress(OSError, ResourceError), atomic_path(index_place(folder)) as temporary:
        temporary.write_text(json.dumps(stored), encoding="utf-8")
