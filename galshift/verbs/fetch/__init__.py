"""Fetch a public data set by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galshift.rundirectory import RunDirectory
from galshift.verbs import STEPS
from galshift.verbs._base import Context, Step
from galshift.verbs.fetch.config import FetchConfig


@STEPS.register("fetch")
class Fetch(Step):
    """Bring the files of a published data set into the run directory.

    They come through the user's cache folder, so that a second run directory costs no transfer (and, on one
    disk, no room).
    """

    kind = "fetch"
    version = 1
    Config = FetchConfig
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
