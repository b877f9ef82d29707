"""Bring the files of a published data set into a run directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pooch

from galshift import console
from galshift.data.fetch import fetch
from galshift.data.public import public_set
from galshift.verbs.fetch.config import FetchConfig


def work(config: FetchConfig, folder: Path) -> dict[str, Any]:
    """Fetch what is not in the cache, check it, link it into `folder`, and return the headline results."""
    wanted = public_set(config.name)
    cache = Path(pooch.os_cache("galshift")) / "public" / config.name.replace(":", "-")
    with console.progress(f"fetch {config.name} [MB]") as bar:
        fetched = fetch(wanted, cache, only=config.only, progress=_in_megabytes(bar))
    for path in fetched.files:
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
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)
    except OSError:
        shutil.copy2(path, place)
