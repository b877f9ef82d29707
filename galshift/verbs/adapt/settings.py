"""The part of the report that says what a published system's settings changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galshift.report import Section, Table


def settings_sections(document: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the section on the settings that `verbs._settings.settings_document` tells of, if any."""
    said = document.get("settings")
    if not said:
        return ()
    blocks = []
    if said["differs"]:
        rows = [
            (key, _word(new), _word(old), source, "yes" if verified else "no")
            for key, new, old, source, verified in said["differs"]
        ]
        columns = ("option", said["name"], "default", "source", "verified")
        blocks.append(Table(columns, tuple(rows), caption="Values that differ from galshift's defaults."))
    if said["overridden"]:
        rows = [(key, _word(published), _word(used)) for key, published, used in said["overridden"]]
        columns = ("option", said["name"], "used here")
        blocks.append(Table(columns, tuple(rows), caption="Values that single options replaced."))
    text = [said["summary"] + "."]
    if said["missing"]:
        text.append("Not reproduced: " + "; ".join(said["missing"]) + ".")
    text += [f"{key}: {where}." for key, where in said["sources"].items()]
    return (Section(f"Settings of {said['name']}", tuple(text), tuple(blocks)),)


def _word(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
