"""Fetch a published data set by name, checked and resumable."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from galshift import console
from galshift.cli._common import Instead, verb

EXAMPLES = (
    "galshift fetch galaxy10-decals --out galaxy10/",
    "galshift fetch deepmerge2 --only 'SimReal*'",
)


def _names(incomplete: str) -> list[str]:
    from pathlib import Path

    folder = Path(__file__).parents[1] / "data" / "public"
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem.startswith(incomplete))


@verb("fetch", without=("device", "workers", "seed"))
def command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Data set; none lists them.", autocompletion=_names, show_default=False
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only files called like this, such as 'SimReal*'.")
    ] = None,
) -> dict | Instead:
    """Fetch a published data set into a run directory: deepmerge, lsst-mocks, galaxy10-decals, ...

    Checksums are checked where the publisher states them.  A broken transfer goes on where it stopped when
    the same command is given again.  Files are kept in the user's cache folder too, so that no second run
    directory needs the network.
    """
    if name is None:
        return Instead(lambda options: _listed(), _show)
    return {"name": name, "only": only}


def _listed() -> list[dict[str, Any]]:
    from galshift.data.public import names, public_set

    return [
        {"name": name, **public_set(name).model_dump(include={"title", "page", "paper"})} for name in names()
    ]


def _show(found: list[dict[str, Any]]) -> None:
    rows = [(one["name"], one["title"], one["page"]) for one in found]
    console.table("", ("name", "what it is", "published at"), rows, to_stdout=True)
