"""galshift in Python: every verb as a function, ``read`` for data and ``load`` for finished runs.

``galshift.adapt("sim.h5", "sdss/", method="mmd", epochs=30)`` does what ``galshift adapt sim.h5 sdss/
--method mmd --epochs 30`` does, and gives the same run.  The functions are made from the same Steps and
configs as the command line (:mod:`galshift.verbs`), so that names, defaults and help cannot differ, and a
verb of another package is one of them.

Where a path is wanted, the images themselves will do: an array (N, C, H, W), a pair (images, labels), a
:class:`galshift.data.cutouts.Cutouts`, an astropy Table with a column of images (or, as ``labels``, any
Table), what ``galshift.read`` returned; and for a run, what a function returned.

What they return shows itself in a notebook, and has ``.table`` (an astropy Table), ``.metrics`` and
``.report``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from galshift.verbs import STEPS

# What is no verb, and where it is.
_OTHERS = {
    "inspect": ("galshift.api.data", "inspect"),
    "load": ("galshift.api.results", "load"),
    "read": ("galshift.api.data", "read"),
}


def names() -> list[str]:
    """Return the names of the functions, without importing a verb."""
    return sorted({*_OTHERS, *(name.replace("-", "_") for name in STEPS.names())})


def function(name: str) -> Callable[..., Any]:
    """Return the function called `name`.

    Raises
    ------
    AttributeError
        When there is none.
    """
    if name not in names():
        raise AttributeError(f"module 'galshift' has no attribute '{name}'")
    if name in _OTHERS:
        import importlib

        module, attribute = _OTHERS[name]
        return getattr(importlib.import_module(module), attribute)
    from galshift.api.functions import verb_function

    return verb_function(name.replace("_", "-"))
