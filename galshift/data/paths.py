"""How data are named on the command line: `name=path`, `images:labels` and patterns of files."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galshift.errors import DataError
from galshift.rundirectory import BASELINE


def split_pair(path: str | Path) -> tuple[str, ...]:
    """Return the two paths of ``x.npy:y.npy``, or the one path that anything else is."""
    text = os.fspath(path)
    left, colon, right = text.rpartition(":")
    return (left, right) if colon and left.endswith(".npy") and right.endswith(".npy") else (text,)


def is_pattern(path: str | Path) -> bool:
    """Return whether `path` stands for several files, as ``'sky/*.h5'`` does, and is none itself."""
    text = os.fspath(path)
    return any(sign in text for sign in "*?[") and not os.path.exists(text)


def matching(pattern: str | Path) -> list[Path]:
    """Return the files that a pattern stands for, by name; hidden ones only where it begins with a dot."""
    found = sorted(glob.glob(os.fspath(pattern), recursive=True))
    return [Path(file) for file in found if os.path.isfile(file)]


def is_there(path: str | Path) -> bool:
    """Return whether `path` is a file or folder, or a pattern that stands for at least one file."""
    return os.path.exists(path) or (is_pattern(path) and bool(matching(path)))


def files_of(path: str | Path) -> list[str]:
    """Return the files and folders that a data set is made of, as far as its name says."""
    parts = split_pair(path)
    return [str(file) for part in parts for file in (matching(part) if is_pattern(part) else [part])]


def missing(path: Path, given: str = "check the path") -> DataError:
    """Return the error that names what is not there, and the nearest name that is or what is `given`."""
    if path.is_symlink():
        return DataError("this link leads nowhere", where=path, hint=f"it points to {os.readlink(path)}")

    if is_pattern(path):
        return DataError("no file is called like this pattern", where=path, hint=given)
    siblings = sorted(os.listdir(path.parent)) if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f"did you mean {path.parent / close[0]}?" if close else given
    return DataError("there is no such file or folder", where=path, hint=hint)


def bare_name(path: str | Path) -> str:
    """Return what products call the data or the run at `path`: its name, without where it lies.

    Equal commands then make equal bytes in every folder; the manifest has the paths.  Of a pair both names,
    and a network within a run with the run's.
    """
    parts = [Path(os.path.abspath(part)) for part in split_pair(path)]
    return ":".join(
        f"{part.parent.name}/{part.name}" if part.name == BASELINE else part.name for part in parts
    )


def without_places(values: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """Return a config's `values` as products hold them: paths in its key paths `fields` by :func:`bare_name`.

    A field that ends in ``?`` may hold something else than a path, and does where there is no such file.
    """
    found = dict(values)
    for field in fields:
        name, optional = field.rstrip("?"), field.endswith("?")
        head, _, rest = name.partition(".")
        if rest and isinstance(found.get(head), Mapping):
            found[head] = without_places(found[head], [rest + "?" * optional])
        elif isinstance(text := found.get(head), str) and (not optional or os.path.exists(text)):
            found[head] = bare_name(text)
        elif isinstance(found.get(head), Mapping):
            found[head] = without_places(found[head], [f"{key}?" for key in found[head]])
    return found


def split_name(text: str) -> tuple[str | None, str]:
    """Split ``name=path`` into its two halves; a path that exists as it stands has no name."""
    name, equals, path = text.partition("=")
    if not equals or not name or "/" in name or Path(text).exists():
        return None, text
    return name, path
