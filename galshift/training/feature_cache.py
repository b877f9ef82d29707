"""Features on the disk, in the user's cache folder, from one command to the next.

A cache only saves time: what cannot be read is computed again, what cannot be written is done without.  A
file is known by everything that its numbers depend on, and the oldest make room for new ones.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from galshift.errors import GalshiftError
from galshift.training.state import write_tensors

LIMIT_BYTES = 2_000_000_000  # of all files together
_NAME = "features"


def place() -> Path:
    """Return the folder, ``$XDG_CACHE_HOME/galshift/features`` or below ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "galshift" / _NAME


def load(key: str) -> Tensor | None:
    """Return the features (N, D) called `key`, or None where they are not there whole."""
    path = place() / f"{key}.safetensors"
    try:
        with safe_open(path, framework="pt") as stored:
            found = stored.get_tensor(_NAME)
        os.utime(path)
    except (OSError, SafetensorError):
        return None
    return found


def save(key: str, features: Tensor) -> None:
    """Keep `features` under `key`, if there is room for them."""
    if features.nbytes > LIMIT_BYTES // 2:
        return
    with suppress(OSError, GalshiftError):
        _make_room(features.nbytes)
        write_tensors(place() / f"{key}.safetensors", {_NAME: features}, {})


def _make_room(wanted: int) -> None:
    """Remove the files that were used longest ago."""
    files = sorted((p.stat().st_mtime, p.stat().st_size, p) for p in place().glob("*.safetensors"))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total + wanted <= LIMIT_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size
