"""What a verb is: one frozen config and one function; the command line and recipes share both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from galshift.rundirectory import RunDirectory
from galshift.types import Strict


@dataclass(frozen=True)
class Context:
    """What a step may use that cannot change a number.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    workers : int
    upstream : mapping of str to str
        Fingerprints of the earlier steps whose outputs are inputs here, by step name.
    """

    device: str = "auto"
    workers: int = 1
    upstream: Mapping[str, str] = field(default_factory=dict)


class Step:
    """One verb.  Subclass once, in ``galshift/recipes/steps/<verb>.py``.

    Class attributes
    ----------------
    kind : str
        The verb as typed.
    version : int
        Raised when its numbers change.
    Config : type of Strict
        Every option of the verb that can change a number, plus its inputs.
    inputs : tuple of str
        Config fields that name data or runs (paths, or ``${step}`` references in a recipe); they enter the
        fingerprint by content, not by name.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    Config: ClassVar[type[Strict]]
    inputs: ClassVar[tuple[str, ...]] = ()

    def run(self, config: Strict, run: RunDirectory, context: Context) -> dict[str, Any]:
        """Do the work inside ``run.path`` and return the headline results (JSON-able).

        The returned mapping has ``outputs`` (role to file name in the run directory) and whatever the verb's
        ``--json`` prints.  The caller writes the manifest.
        """
        raise TypeError(f"{type(self).__name__} has no run()")
