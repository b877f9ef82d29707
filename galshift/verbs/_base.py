"""What a verb is: one frozen config and one function; the command line and recipes share both."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from galshift.rundirectory import RunDirectory
from galshift.types import Strict
from galshift.verbs._options import OF_LABELS, Instead, Option, counted_votes, reading_words

if TYPE_CHECKING:
    from galshift.spread import Engine


@dataclass(frozen=True)
class Context:
    """What a step may use that cannot change a number.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    workers : int
    scheduler : str or None
        Address of a Dask scheduler, for the steps that can spread their work.
    out : Path or None
        Where a step with a product (`Step.product`) writes it; None for every other step.  The step writes
        there atomically (``provenance.atomic_path``).
    upstream : mapping of str to str
        Fingerprints of the earlier steps whose outputs are inputs here, by step name.
    profile : bool
        Say in the results where the seconds went; see :mod:`galshift.timing`.
    scale : str or None
        Scale of the recipe that the step is one of, for the manifest.
    """

    device: str = "auto"
    workers: int = 1
    scheduler: str | None = None
    out: Path | None = None
    upstream: Mapping[str, str] = field(default_factory=dict)
    profile: bool = False
    scale: str | None = None

    @property
    def engine(self) -> Engine:
        """Who makes the pieces of work that can be made apart: this process, others, or a cluster."""
        from galshift.spread import Engine  # help and completion need no processes

        return Engine(self.workers, self.scheduler)


class Step:
    """One verb.  Subclass once, in ``galshift/verbs/<verb>.py``; :mod:`galshift.verbs` has a whole example.

    The first line of its file's docstring is the verb's line in ``galshift --help``; its own docstring is the
    text of ``galshift <verb> --help`` and of the Python function.

    Class attributes
    ----------------
    kind : str
        The verb as typed.
    version : int
        Raised when its numbers change.
    Config : type of Strict
        Every option of the verb that can change a number, plus its inputs.  A field that names a registered
        thing with options of its own (a method, a model) is a :class:`galshift.verbs._choice.ChoiceOf`.
    inputs : tuple of str
        Config fields that name data or runs (paths, or ``${step}`` references in a recipe); they enter the
        fingerprint by content, not by name.  ``read.labels`` reaches into a nested config; ``read.labels?``
        is a field that may hold something else than a path.  A field holds a path, a list of paths, a mapping
        of names to paths, or None; an entry of a list may be ``name=path``.
    display : tuple of str
        Config fields that cannot change a number and stay out of the fingerprint.
    newer : tuple of str
        Config fields that came when runs had been finished without them: at their defaults they stay out of
        the fingerprint, so that those runs are still found.
    product : str
        Default file name of the one thing that the verb writes to its positional OUT (``mocks.h5``); empty
        for verbs whose result is a run directory.
    resumable : bool
        True when an interrupted run takes up where it stopped; otherwise its directory is removed.
    distributed : bool
        True when several processes (torchrun, srun) do its work together; see `galshift.recipes.together`.
    positionals : tuple of str
        Config fields that are typed without a name, in this order; OUT, of a verb with a product, comes last.
    options : tuple of str and Option, or None
        The other fields that are options, by name or by :func:`galshift.verbs.option` where an option differs
        from its field; None: every plain field, and everything that a reader may be told.  Whatever else the
        config holds is set by ``--set``.
    examples : tuple of str
        Commands to paste, at least two, that end the verb's help.
    resources : tuple of str
        Which of ``device``, ``workers`` and ``scheduler`` it can use.
    instead : tuple of Instead
        What it does in place of its work when asked, such as ``--dry-run``.
    out_help : str
        What OUT is, for a verb with a product.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    Config: ClassVar[type[Strict]]
    inputs: ClassVar[tuple[str, ...]] = ()
    display: ClassVar[tuple[str, ...]] = ()
    newer: ClassVar[tuple[str, ...]] = ()
    product: ClassVar[str] = ""
    resumable: ClassVar[bool] = False
    distributed: ClassVar[bool] = False
    positionals: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str | Option, ...] | None] = None
    examples: ClassVar[tuple[str, ...]] = ()
    resources: ClassVar[tuple[str, ...]] = ("device",)
    instead: ClassVar[tuple[Instead, ...]] = ()
    out_help: ClassVar[str] = ""

    def from_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was given, by option name, completed where one option implies another."""
        return counted_votes(given, with_total=True)

    def run(self, config: Strict, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Do the work inside ``run.path`` and return the headline results (JSON-able).

        The returned mapping has ``outputs`` (role to file name in the run directory) and whatever the verb's
        ``--json`` prints.  The caller writes the manifest.
        """
        raise TypeError(f"{type(self).__name__} has no run()")

    def versions(self, config: Strict) -> Mapping[str, int]:
        """Return the versions of the registered things that `config` uses, such as ``{"method mmd": 2}``.

        They enter the fingerprint, so that a changed method makes a new result and an unchanged one does not.
        """
        return {}

    def product_of(self, config: Strict) -> str:
        """Return the default file name of the product that `config` asks for."""
        return self.product

    def products(self, config: Strict, out: Path) -> list[Path]:
        """Return every path that the step writes for the positional `out` (mocks of a pair write two)."""
        return [out]

    def describe(self, results: Mapping[str, Any]) -> list[str]:
        """Return lines for people about finished `results`; they are shown on stderr."""
        return []

    def next_steps(self, results: Mapping[str, Any]) -> list[str]:
        """Return the commands to type next; ``results["run"]`` or ``results["out"]`` is where they are.

        They work as they are printed: `named` and `said` have what was typed for this step, `place` where its
        result is, `unused` a name for the next one.

        A step that says nothing else has its page opened, where it has one.
        """
        outputs = results.get("outputs", {})
        pages = [outputs[role] for role in ("report", "explorer") if role in outputs]
        return [f"open {results['run']}/{page} in a browser" for page in pages if "run" in results]

    @staticmethod
    def named(results: Mapping[str, Any], role: str, otherwise: str = "DATA") -> str:
        """Return the path that was typed for the input `role` of finished `results`, quoted for a shell.

        Of several (``on[0]``, ``on[1]=deep``) it is the first.
        """
        return next(iter(Step.all_named(results, role)), otherwise)

    @staticmethod
    def all_named(results: Mapping[str, Any], role: str) -> list[str]:
        """Return every path that was typed for the input `role`, quoted for a shell, in order."""
        given = results.get("given", {})
        found: dict[str, str] = {}
        for key, path in given.items():
            owner = next((one for one in found if key.startswith((f"{one}:", f"{one}."))), None)
            if owner is None and re.split(r"[\[=]", key)[0] == role:
                found[key] = str(path)
            elif owner is not None and key.startswith(f"{owner}:"):
                found[owner] += f":{path}"  # the labels of a pair x.npy:y.npy
        return [shlex.quote(path) for path in found.values()]

    @staticmethod
    def said(results: Mapping[str, Any], *, of_labels: bool = True) -> str:
        """Return what was typed about reading the data, as options that follow a command.

        Without `of_labels`, only what is said of pixels and of galaxies.
        """
        said = dict(results.get("reading", {}))
        return reading_words({key: said[key] for key in said if of_labels or key not in OF_LABELS})

    @staticmethod
    def place(results: Mapping[str, Any], file: str = "") -> str:
        """Return where the result is (or `file` in that folder), quoted for a shell."""
        return shlex.quote(str(Path(results.get("out") or results["run"]) / file))

    @staticmethod
    def unused(name: str) -> str:
        """Return `name`, or where something of this name is here already, ``name-2``, ``name-3``, ..."""
        path, number = Path(name), 1
        while path.exists():
            number += 1
            path = path.with_stem(f"{Path(name).stem}-{number}")
        return str(path)
