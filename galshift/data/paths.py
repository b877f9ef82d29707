"""How data are named on the command line: `name=path` and `images:labels`."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from galshift.errors import DataError


def split_pair(path: str | Path) -> tuple[str, ...]:
    """Return the two paths of ``x.npy:y.npy``, or the one path that anything else is."""
    text = os.fspath(path)
    left, colon, right = text.rpartition(":")
    return (left, right) if colon and left.endswith(".npy") and right.endswith(".npy") else (text,)


def missing(path: Path, given: str = "check the path") -> DataError:
    """Return the error that names what is not there, and the nearest name that is or what is `given`."""
    if path.is_symlink():
        return DataError("this link leads nowhere", where=path, hint=f"it points to {os.readlink(path)}")

    siblings = sorted(os.listdir(path.parent)) if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f"did you mean {path.parent / close[0]}?" if close else given
    return DataError("there is no such file or folder", where=path, hint=hint)


def split_name(text: str) -> tuple[str | None, str]:
    """Split ``name=path`` into its two halves; a path that exists as it stands has no name."""
    name, equals, path = text.partition("=")
    if not equals or not name or "/" in name or Path(text).exists():
        return None, text
    return name, path
