"""Say what every verb can be told: how data are read, and the common options."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from galshift import console
from galshift.cli._common import OPTIONS, completes
from galshift.errors import UsageError, did_you_mean

EXAMPLES = ("galshift help reading", "galshift help common")
TOPICS = ("common", "reading")


def command(
    topic: Annotated[
        str,
        typer.Argument(
            metavar="reading|common|VERB", help="What to explain.", autocompletion=completes(TOPICS)
        ),
    ] = "reading",
) -> None:
    """Show the options that every verb takes and its own help leaves out.

    reading: what files do not say themselves (unit, pixel scale, bands, labels, ...), for every verb that
    opens data.  common: where results go, the seed, the device, how much is printed.  A verb's name shows
    its help.
    """
    from galshift.cli._app import load, names

    if topic in TOPICS:
        for flags, told in _rows(topic):
            console.result(f"{flags}\n    {told}")
        return
    if topic not in names():
        raise UsageError(f"there is no help on '{topic}'", hint=did_you_mean(topic, [*TOPICS, *names()]))
    load(topic).main(["--help"], prog_name=f"galshift {topic}", standalone_mode=False)


def _rows(topic: str) -> list[tuple[str, str]]:
    """The options of a topic as (how it is typed, what it says)."""
    if topic == "reading":
        from galshift.cli._verb import default_of
        from galshift.recipes.inspect import Inspect
        from galshift.verbs._options import READING
        from galshift.verbs._parameters import parameters

        found = [one for one in parameters(Inspect) if one.option.panel == READING]
        return [(f"{one.flag} {one.metavar}".rstrip(), one.help + default_of(one)) for one in found]
    return [_typed(*OPTIONS[name]) for name in OPTIONS]


def _typed(annotation: Any, default: Any) -> tuple[str, str]:
    """How a common option is typed, and what it says."""
    kind, info = get_args(annotation)
    metavar = "" if kind is bool else info.metavar or "N"
    shown = "" if default is None or kind is bool else f" [default: {default}]"
    # Typer takes the first name for a default until it meets the parameter.
    names = [name for name in (info.default, *info.param_decls) if isinstance(name, str)]
    return f"{', '.join(names)} {metavar}".rstrip(), info.help + shown
