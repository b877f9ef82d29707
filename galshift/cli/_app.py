"""The `galshift` command: verbs are listed by name and imported only when run.

A verb that works on data is a Step (``galshift/verbs/<verb>.py``, or an entry point of another package), and
its command is made from it (``_verb.py``): it needs no file here.  A verb that only shows or manages
(``list``, ``doctor``, ``run``) is one file ``galshift/cli/<verb>.py`` (underscores for hyphens).  Its first
line, a docstring in one sentence, is the verb's line in ``galshift --help``.  Its ``command`` (a function) or
its ``app`` (a ``typer.Typer`` with sub-commands) is what runs, and its ``EXAMPLES``, lines to paste, end its
help.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

import galshift
from galshift.registry import docstring
from galshift.verbs import STEPS

# The order in which verbs are told; a verb that is not named here stands under "More".
PANELS = {
    "Start here": ("guide", "run", "inspect", "simulate", "doctor"),
    "Make data": ("make-mocks", "pack", "fetch"),
    "Train and adapt": ("train", "adapt", "pretrain"),
    "Evaluate and use": ("evaluate", "predict", "count", "figures", "gap", "explain", "ladder", "depth"),
    "Probe": ("one-pixel-attack", "audit", "embed", "similar", "suggest"),
    "Recipes and reference": ("recipes", "validate", "status", "list", "schema", "help"),
}
EXAMPLES = ("galshift run quickstart", "galshift adapt sim.h5 sdss/")


class Verb(TyperCommand):
    """A verb as the top-level help shows it; its file is imported when it is run or asked for help."""

    def __init__(self, name: str, panel: str) -> None:
        super().__init__(name, help=_escaped(summary(name)), rich_help_panel=panel)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the verb's file and hand over to its own command."""
        command = load(self.name or "")
        return command.make_context(info_name, _spread(args, command.several), parent=parent, **extra)


class Verbs(TyperGroup):
    """All verbs, in the order of `PANELS`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        present = names()
        for panel, listed in (*PANELS.items(), ("More", tuple(present))):
            for name in listed:
                if name in present and name not in self.commands:
                    self.add_command(Verb(name, panel))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Say of an option before the verb where it goes."""
        given = tuple(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # click's NoSuchOption, of which typer has its own copy
            option = getattr(error, "option_name", None)
            verb = next((word for word in given if word in self.commands), None)
            if option is not None and verb is not None:
                error.message += f"; options go after the verb: galshift {verb} ... {option}"
            raise


def names() -> list[str]:
    """Return every verb, sorted, from file names and entry points alone."""
    files = Path(__file__).parent.glob("*.py")
    own = [file.stem.replace("_", "-") for file in files if not file.stem.startswith("_")]
    return sorted({*own, *STEPS.names()})


def summary(name: str) -> str:
    """Return the first line of the docstring of the verb's file, without importing it."""
    path = _file(name)
    return (docstring(path) if path.is_file() else STEPS.summary(name)).rstrip(".")


def _file(name: str) -> Path:
    return Path(__file__).parent / f"{name.replace('-', '_')}.py"


def load(name: str) -> Any:
    """Import the verb and return its command, ready to run.

    Raises
    ------
    ConfigError
        When it is a plug-in that cannot be imported.
    """
    if _file(name).is_file():
        module = importlib.import_module(f"galshift.cli.{name.replace('-', '_')}")
        if hasattr(module, "app"):
            module.app.info.epilog = _epilog(module.EXAMPLES)
            module.app.info.help = _escaped(summary(name))
            return _ready(module.app, name)
        function, examples = module.command, module.EXAMPLES
    else:
        from galshift.cli._verb import command

        function, examples = command(name), STEPS.get(name).examples
    folded = getattr(function, "folded", ())
    app = typer.Typer(add_completion=False)
    text = _escaped((function.__doc__ or "").strip())
    app.command(name, cls=Folded, help=text, epilog=_epilog(examples, folded))(function)
    ready = _ready(app, name, getattr(function, "several", ()))
    ready.folded = frozenset(folded)
    return ready


class Folded(TyperCommand):
    """A verb whose help leaves out what every verb takes: ``galshift help`` has that, and the shell."""

    folded: frozenset[str] = frozenset()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the verb's own arguments alone."""
        hidden = [one for one in self.params if one.name in self.folded]
        for one in hidden:
            one.hidden = True
        super().format_help(ctx, formatter)
        for one in hidden:
            one.hidden = False


def _ready(app: typer.Typer, name: str, several: tuple[str, ...] = ()) -> Any:
    command = typer.main.get_command(app)
    command.name = name
    command.several = several
    _escape_options(command)
    return command


def _spread(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Repeat an option before each of the words that follow it: ``--on a b`` becomes ``--on a --on b``.

    Only after a word that is no option, so that arguments that come last stay arguments.
    """
    spread: list[str] = []
    repeated = None
    for i, word in enumerate(words):
        if word.startswith("-"):
            before = any(not earlier.startswith("-") for earlier in words[:i])
            repeated = word if word in options and before else None
        elif repeated is not None and spread[-1] != repeated:
            spread.append(repeated)
        spread.append(word)
    return spread


def _version(wanted: bool) -> None:
    if wanted:
        print(f"galshift {galshift.__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    pass


def _epilog(examples: Sequence[str], folded: Sequence[str] = ()) -> str:
    told = ["How data are read (--unit, --labels, ...): galshift help reading"] if "labels" in folded else []
    told += ["Where results go, the seed, --set, ...: galshift help common"] if "json" in folded else []
    return _escaped("\n\n".join([*told, "Examples:", *examples]))


def _escaped(text: str) -> str:
    """Keep square brackets in help texts: rich would read ``[arcsec]`` as a style and drop it."""
    return re.sub(r"\[(?=[a-zA-Z#/@])", r"\\[", text)


def _escape_options(command: Any) -> None:
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = _escaped(parameter.help)
    for inner in getattr(command, "commands", {}).values():
        _escape_options(inner)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make a galaxy classifier trained on one survey or simulation work on another.",
    epilog=_epilog(EXAMPLES),
)
app.callback()(_root)
