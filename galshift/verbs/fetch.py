"""Fetch a published data set by name, checked and resumable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from galshift import console
from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import Instead, option


class FetchConfig(Strict):
    """Which public data set; see :mod:`galshift.data.public`."""

    name: str = Field(description="Name of the set; galshift fetch without a name lists them.")
    only: str | None = Field(None, description="Pattern of the files wanted, such as 'SimReal*'.")


def listed(given: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Return the public data sets: name, title, page and paper."""
    from galshift.data.public import names, public_set

    kept = {"title", "page", "paper"}
    return [{"name": name, **public_set(name).model_dump(include=kept)} for name in names()]


def show_listed(found: list[dict[str, Any]]) -> None:
    """Print the public data sets as a table."""
    rows = [(one["name"], one["title"], one["page"]) for one in found]
    console.table("", ("name", "what it is", "published at"), rows, to_stdout=True)


@STEPS.register("fetch")
class Fetch(Step):
    """Fetch a published data set into a run directory: deepmerge, lsst-mocks, galaxy10-decals, ...

    Checksums are checked where the publisher states them.  A broken transfer goes on where it stopped when
    the same command is given again.  Files are cached in the user's cache folder too, so that no second run
    directory needs the network (and, on one disk, no room).
    """

    kind = "fetch"
    version = 1
    Config = FetchConfig
    positionals = ("name",)
    options = (option("only", metavar="PATTERN"),)
    examples = (
        "galshift fetch galaxy10-decals --out galaxy10/",
        "galshift fetch deepmerge2 --only 'SimReal*'",
    )
    resources = ()
    instead = (Instead("", "List the data sets.", work=listed, show=show_listed, bare=True),)
    resumable = True

    def run(self, config: FetchConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Fetch what is not in the cache, check it, and link it into ``run.path``."""
        import pooch

        from galshift.data.fetch import fetch
        from galshift.data.public import public_set

        wanted = public_set(config.name)
        cache = Path(pooch.os_cache("galshift")) / "public" / config.name
        with console.progress(f"fetch {config.name} [MB]") as bar:
            fetched = fetch(wanted, cache, only=config.only, progress=_in_megabytes(bar))
        for path in fetched.files:
            _link(path, Path(run.path) / path.name)
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
            "n_files": len(fetched.files),
            "bytes": sum(path.stat().st_size for path in fetched.files),
            "unchecked": list(fetched.unchecked),
            "open": opens,
            "notes": list(wanted.notes),
            "outputs": {path.name: path.name for path in fetched.files},
        }

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Return what was fetched, whom to cite and what to know."""
        lines = [
            f"{results['title']}: {results['n_files']} files, {results['bytes'] / 1e6:.4g} MB",
            f"cite: {results['paper']}",
        ]
        if results["unchecked"]:
            lines.append(f"the publisher states no checksum for {', '.join(results['unchecked'])}")
        return [*lines, *results["notes"]]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Return how each part of the set is opened."""
        folder = results["run"]
        return [
            "galshift inspect " + ":".join(f"{folder}/{part}" for part in path.split(":")) + options
            for path, options in (_split(text) for text in results["open"])
        ]


def _split(text: str) -> tuple[str, str]:
    path, space, options = text.partition(" ")
    return path, space + options


def _in_megabytes(bar: console.Progress):
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
