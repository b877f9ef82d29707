"""galshift: make a galaxy classifier trained on one survey or simulation work on another.

Every verb of the command line is a function here with the same name and defaults
(``galshift.adapt("sim.h5", "sdss/", method="mmd")``); they are made on first use, from the verbs' own files
(:mod:`galshift.api`), so that ``import galshift`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

__version__ = "0.1.0"


class _Package(ModuleType):
    """This package, with verbs as attributes.

    ``simulate`` and ``audit`` are verbs and sub-packages.  ``galshift.simulate`` is always the verb, whatever
    was imported before; the sub-package is imported by its path (``from galshift.simulate.x import y``).
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in ("simulate", "audit"):
            return
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not (Path(__file__).parent / "cli" / f"{name}.py").is_file():
            raise AttributeError(f"module 'galshift' has no attribute '{name}'")
        return importlib.import_module("galshift.api").function(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *importlib.import_module("galshift.api").verbs()})


sys.modules[__name__].__class__ = _Package
