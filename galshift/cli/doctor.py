"""Check this machine: versions, devices, disk, and which device would be used."""

from __future__ import annotations

from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import Json

EXAMPLES = ("galshift doctor", "galshift doctor --threads")

Threads = Annotated[
    bool, typer.Option("--threads", help="Measure how many CPU threads train a small CNN fastest.")
]


def command(threads: Threads = False, json: Json = False) -> None:
    """Check this machine: versions, disk, and which device and precision would be used and why.

    Exit code 6 when something is missing.
    """
    from galshift.recipes.doctor import examine, lines

    report = examine(threads=threads)
    if json:
        console.json_document(report)
    else:
        for line in lines(report):
            console.result(line)
    if report["problems"]:
        raise typer.Exit(6)
