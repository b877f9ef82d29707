"""Bring the files of a published data set into a run directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galshift import console
from galshift.data.fetch import fetch
from galshift.data.public import public_set
from galshift.provenance import atomic_path
from galshift.user_cache import user_cache, writable_cache
from galshift.verbs.fetch.config import FetchConfig


def work(config: FetchConfig, folder: Path) -> dict[str, Any]:
    """Fetch what is not in the cache, check it, link it into `folder`, and return the headline results."""
    wanted = public_set(config.name)
    cache = writable_cache(f"public/{config.name.replace(':', '-')}")
    if cache is None:
        console.say(f"note: {user_cache('public')} cannot be written, so that {folder} alone has the files")
    with console.progress(f"fetch {config.name} [MB]") as bar:
        fetched = fetch(wanted, cache or folder, only=config.only, progress=_in_megabytes(bar))
    for path in fetched.files if cache else ():
        _link(path, folder / path.name)
    here = {path.name for path in fetched.files}
    opens = [
        f"{':'.join(str(part) for part in one.path.split(':'))} {one.options}".strip()
        for one in wanted.open
        if set(one.path.split(":")) <= here
    ]
    return {
        "name": config.name,
        "title": wanted.title,
        "paper": wanted.paper,
        "page": wanted.page,
        **({} if wanted.licence is None else {"licence": wanted.licence, "trained_on": wanted.trained_on}),
        "n_files": len(fetched.files),
        "bytes": sum(path.stat().st_size for path in fetched.files),
        "unchecked": list(fetched.unchecked),
        "open": opens,
        "notes": list(wanted.notes),
        "outputs": {path.name: path.name for path in fetched.files},
    }


def _in_megabytes(bar: console.Progress) -> Callable[[int], None]:
    """Return a callback that counts bytes and moves the bar by whole megabytes."""
    seen = {"bytes": 0, "told": 0}

    def advance(n: int) -> None:
        seen["bytes"] += n
        step = seen["bytes"] // 1_000_000 - seen["told"]
        if step > 0:
            seen["told"] += step
            bar.advance(step)

    return advance


def _link(path: Path, place: Path) -> None:
    """Give a file a second name, or copy it where that cannot be (another disk)."""
    with atomic_path(place) as temporary:
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copy2(path, temporary)
