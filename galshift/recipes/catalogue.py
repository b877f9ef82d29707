"""The names of everything that can be named, with one line each, read from files without importing them."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

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
    "metrics": ("galshift.evaluation", "METRICS"),
}
# What can be named where a thing of the kind is asked for, and is none itself.
ALSO = {"methods": [("auto", "Try several methods and choose among them, and source-only, without labels.")]}
KINDS = (*sorted(REGISTRIES), "surveys")


def entries(kind: str) -> list[tuple[str, str]]:
    """Return (name, summary) of each thing of `kind`, sorted by name.

    Parameters
    ----------
    kind : {'methods', 'models', 'readers', 'selectors', 'weightings', 'faults', 'metrics', 'surveys'}

    Raises
    ------
    UsageError
        For another kind.
    """
    if kind == "surveys":
        return [(path.stem.replace("_", "-"), _survey_summary(path)) for path in sorted(_survey_files())]
    if kind not in REGISTRIES:
        raise UsageError(f"there are no '{kind}' to list", hint=did_you_mean(kind, KINDS))
    module, attribute = REGISTRIES[kind]
    try:
        registry = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("galshift"):
            return []
        raise
    named = [(name, registry.summary(name)) for name in registry.names()]
    return sorted([*named, *ALSO.get(kind, [])])


def _survey_files() -> list[Path]:
    import galshift

    folder = Path(galshift.__file__).parent / "surveys"
    return [path for path in folder.glob("*.yaml") if not path.stem.startswith("_")]


def _survey_summary(path: Path) -> str:
    """Return the survey's own ``summary`` or title line, read as text: a list needs no YAML parser."""
    text = path.read_text(encoding="utf-8")
    for pattern in (r"^summary:\s*(.+)$", r"^title:\s*(.+)$", r"^#\s*(.+)$"):
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return found.group(1).strip().strip("\"'")
    return ""
