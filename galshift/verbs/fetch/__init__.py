"""Fetch a published data set or encoder by name, checked and resumable."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift import console
from galshift.data.public import names, public_set
from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs._options import Instead, option
from galshift.verbs.fetch.config import FetchConfig


def listed(given: Mapping[str, Any], context: Context) -> list[dict[str, Any]]:
    """Return the public data sets and encoders: name, title, page, paper, licence and what it learnt from."""
    wanted = {"title", "page", "paper", "licence", "trained_on"}
    return [{"name": name, **public_set(name).model_dump(include=wanted)} for name in names()]


def show_listed(found: list[dict[str, Any]]) -> None:
    """Print the public data sets and encoders as a table."""
    rows = [(one["name"], _told(one), one["page"]) for one in found]
    console.table("", ("name", "what it is", "published at"), rows, to_stdout=True)


def _told(one: Mapping[str, Any]) -> str:
    if one["licence"] is None:
        return one["title"]
    return f"{one['title']}; {one['licence']}; trained on {one['trained_on']}"


@STEPS.register("fetch")
class Fetch(Step):
    """Fetch a published data set, or an encoder's weights, into a run directory: deepmerge, lsst-mocks, ...

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
        "galshift fetch encoder:zoobot-convnext-pico --out zoobot/",
    )
    resources = ()
    instead = (
        Instead("", "List the data sets and encoders.", work=listed, show=show_listed, needs=(), bare=True),
    )
    resumable = True

    def run(self, config: FetchConfig, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Fetch what is not in the cache, check it, and link it into ``run.path``."""
        from galshift.verbs.fetch.work import work

        return work(config, Path(run.path))

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Return what was fetched, whom to cite and what to know."""
        lines = [
            f"{results['title']}: {results['n_files']} files, {results['bytes'] / 1e6:.4g} MB",
            f"cite: {results['paper']}",
        ]
        if results["unchecked"]:
            lines.append(f"the publisher states no checksum for {', '.join(results['unchecked'])}")
        if results.get("licence"):
            lines.append(f"licence: {results['licence']}; trained on {results['trained_on']}")
            lines.append(f"as a network: --model {shlex.quote(results['run'])} --tune head")
        return [*lines, *results["notes"]]

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Return how each part of the set is opened."""
        lines = []
        for path, options in map(_split, results["open"]):
            parts = ":".join(f"{results['run']}/{part}" for part in path.split(":"))
            lines.append(f"galshift inspect {shlex.quote(parts)}{options}")
        return lines


def _split(text: str) -> tuple[str, str]:
    path, space, options = text.partition(" ")
    return path, space + options
