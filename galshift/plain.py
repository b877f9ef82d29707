"""Text that a file brought, made fit for a terminal: no control, no direction, nothing that cannot be seen.

A name, a class, a unit, a header or a library's message may hold escape sequences that repaint the screen, or
characters that turn the reading direction round.  :mod:`galshift.console` and the sentence of every error go
through :func:`plain`, so that nothing else need think of it.
"""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL and C1; soft hyphen; zero-width, direction marks, overrides and isolates;
# separators of lines and paragraphs; annotations; tags; the byte-order mark.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# What os.fsdecode makes of bytes that are no text; no encoding can write them out again.
_HALVES = re.compile("[\ud800-\udfff]")


def plain(text: object) -> str:
    """Return `text` without what a terminal would obey or hide; line feeds and tabs stay."""
    found = _UNSEEN.sub("", str(text).replace("\r\n", "\n"))
    return _HALVES.sub(_as_byte, found)


def one_line(text: object, most: int | None = None) -> str:
    """Return `text` as :func:`plain` has it on one line, cut after `most` characters."""
    found = " ".join(plain(text).split())
    return found if most is None or len(found) <= most else f"{found[: most - 1]}…"


def _as_byte(half: re.Match[str]) -> str:
    return f"\\x{ord(half[0]) & 0xFF:02x}"
