"""The user's cache folder, which may be missing or read-only: nothing may depend on it."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Return where `name` belongs: in ``$XDG_CACHE_HOME/galshift``, by default ``~/.cache/galshift``."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "galshift" / name


def writable_cache(name: str) -> Path | None:
    """Return the folder `name` of the cache, made if need be, or None where it cannot be written."""
    place = user_cache(name)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return place if os.access(place, os.W_OK | os.X_OK) else None
