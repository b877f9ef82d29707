"""Check this machine: versions, devices, disk, and which device would be used."""

from __future__ import annotations

import typer

from galshift import console
from galshift.cli._common import Json

EXAMPLES = ("galshift doctor", "galshift doctor --json")


def command(json: Json = False) -> None:
    """Check this machine: versions, devices, disk, and which device would be used and why.

    Exit code 6 when something is missing.
    """
    from galshift.recipes.doctor import examine, lines

    report = examine()
    if json:
        console.json_document(report)
    else:
        for line in lines(report):
            console.result(line)
    if report["problems"]:
        raise typer.Exit(6)
