"""The names of everything that can be named, with one line each; galshift's own files are not imported."""

from __future__ import annotations

import importlib

from galshift import settings, surveys
from galshift.errors import UsageError, did_you_mean

# Where the registry of each kind lives: (module, attribute).
REGISTRIES = {
    "methods": ("galshift.methods", "METHODS"),
    "models": ("galshift.models", "MODELS"),
    "readers": ("galshift.data.readers", "READERS"),
    "selectors": ("galshift.selection", "SELECTORS"),
    "weightings": ("galshift.methods.weighting", "WEIGHTINGS"),
    "faults": ("galshift.audit.faults", "FAULTS"),
    "corruptions": ("galshift.audit.corruptions", "CORRUPTIONS"),
    "reducers": ("galshift.embedding.reducers", "REDUCERS"),
    "galaxies": ("galshift.simulate", "KINDS"),
    "verbs": ("galshift.verbs", "STEPS"),
    "baselines": ("galshift.evaluation.baselines", "BASELINES"),
    "metrics": ("galshift.evaluation", "METRICS"),
}
# What can be named where a thing of the kind is asked for, and is none itself.
ALSO = {"methods": [("auto", "Try several methods and choose among them, and source-only, without labels.")]}
# Kinds that are files, not modules.
FILES = {"settings": settings, "surveys": surveys}
KINDS = (*sorted(REGISTRIES), *FILES)


def entries(kind: str) -> list[tuple[str, str]]:
    """Return (name, summary) of each thing of `kind`, sorted by name.

    Things of other packages are imported first: one that cannot be is named on stderr and left out.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.

    Raises
    ------
    UsageError
        For another kind.
    """
    if kind in FILES:
        return [(name, FILES[kind].summary(name)) for name in FILES[kind].available()]
    if kind not in REGISTRIES:
        raise UsageError(f"there are no '{kind}' to list", hint=did_you_mean(kind, KINDS))
    module, attribute = REGISTRIES[kind]
    registry = getattr(importlib.import_module(module), attribute)
    named = [(name, registry.summary(name)) for name in registry.available()]
    return sorted([*named, *ALSO.get(kind, [])])
