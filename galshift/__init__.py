"""galshift: make a galaxy classifier trained on one survey or simulation work on another.

Every verb of the command line is a function here with the same names and defaults
(``galshift.adapt("sim.h5", "sdss/", method="mmd")``); ``galshift.read`` opens data and ``galshift.load`` a
finished run.  They are made on first use, from the verbs' own files (:mod:`galshift.api`), so that ``import
galshift`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__version__ = "0.2.0"

# Names that are both a function of this package and one of its sub-packages; see `_Package`.
_FUNCTIONS = ("audit", "simulate")


class _Package(ModuleType):
    """This package, with verbs as attributes.

    ``simulate`` and ``audit`` are verbs and sub-packages.  ``galshift.simulate`` is always the verb, whatever
    was imported before; the sub-package is imported by its path (``from galshift.simulate.x import y``).
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _FUNCTIONS:
            return
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        # ``from galshift import console`` asks here first: a sub-module is none of ours.
        if name.startswith("_") or (name not in _FUNCTIONS and find_spec(f"galshift.{name}")):
            raise AttributeError(f"module 'galshift' has no attribute '{name}'")
        return importlib.import_module("galshift.api").function(name)

    def __dir__(self) -> list[str]:
        hidden = [name for name in super().__dir__() if name.startswith("__")]
        return sorted({*hidden, *importlib.import_module("galshift.api").names()})


sys.modules[__name__].__class__ = _Package
