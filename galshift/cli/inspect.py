"""Say what a file, folder or run holds: shapes, units, bands, classes, and what is missing."""

from __future__ import annotations

from typing import Any

from galshift import console
from galshift.cli._verb import typed
from galshift.recipes.inspect import Inspect, inspect, show

EXAMPLES = Inspect.examples


def _run(given: dict[str, Any], common: dict[str, Any]) -> None:
    console.set_verbosity(quiet=common["quiet"], verbose=common["verbose"])
    found = inspect(given)
    console.json_document(found) if common["json"] else show(found, given["path"], given["against"])


command = typed(Inspect, ("json", "quiet", "verbose"), _run)
