"""Read a guide: own data, methods, reports, labels, mocks, recipes and more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galshift import console
from galshift.cli._common import completes
from galshift.guides import TOPICS, text_of, title_of

EXAMPLES = ("galshift guide own-data", "galshift guide report --html report-guide.html")


def command(
    topic: Annotated[
        str,
        typer.Argument(
            metavar="TOPIC", help="Which; without one they are listed.", autocompletion=completes(TOPICS)
        ),
    ] = "",
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write it as a page for a browser instead.")
    ] = None,
) -> None:
    """Show a guide in the terminal, or write it as a page.

    Each guide goes through one kind of work from start to end, with commands that run as they stand.
    """
    if not topic:
        width = max(map(len, TOPICS))
        for name in TOPICS:
            console.result(f"{name:<{width}}  {title_of(name)}")
        return
    if html is None:
        console.markdown(text_of(topic))
        return
    from galshift.report.guide_page import write_guide

    console.result(str(write_guide(Path(html), topic)))
