"""A guide as one self-contained page."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

from galshift.guides import guide, picture_of
from galshift.provenance import atomic_path, remove_dead_parts
from galshift.report.page import template_environment

if TYPE_CHECKING:
    from markupsafe import Markup


def write_guide(path: Path, topic: str) -> Path:
    """Write the guide `topic` as HTML to `path`, whole or not at all, and return the path.

    Raises
    ------
    UsageError
        When there is no such guide.
    """
    found = guide(topic)
    environment = template_environment()
    environment.filters["words"] = words
    environment.globals["picture"] = lambda made: _uri(picture_of(topic, made))
    text = environment.get_template("guide.html.j2").render(guide=found)
    remove_dead_parts(path)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def words(text: str) -> Markup:
    """Return `text` escaped, what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)
    )


def _uri(path: Path) -> str:
    kind = "svg+xml" if path.suffix == ".svg" else path.suffix.lstrip(".")
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
