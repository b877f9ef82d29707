"""Guides: pages that teach, one Markdown file each, whose commands run as they stand.

A file has a title (``# ``), parts (``## ``), paragraphs, items (``- ``) and blocks between fences.  ``bash``
blocks are commands; a block with a file name after its language is that file; other blocks are only shown.
A picture (``![caption](path)``) is one that the commands make; the package keeps it in ``pictures/``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from galshift.errors import UsageError, did_you_mean

_PICTURE = re.compile(r"!\[(.+)\]\((.+)\)")
_FOLDER = Path(__file__).parent
#: In the order in which a newcomer reads them.
TOPICS = (
    "own-data",
    "choosing-a-method",
    "report",
    "labels",
    "mocks",
    "robustness",
    "recipes",
    "extending",
    "scaling-out",
)


@dataclass(frozen=True)
class Block:
    """A piece of a guide.

    Attributes
    ----------
    text : str
        A paragraph on one line, an item, or code as typed.
    language : str
        Of code: ``bash``, ``yaml``, ``python``, ``text``; empty for words.
    file : str
        What code is called as a file; empty where it is none.
    item : bool
        Whether words are an item of a list.
    picture : str
        Of a picture, whose words are the caption: where the guide's commands make it.
    """

    text: str
    language: str = ""
    file: str = ""
    item: bool = False
    picture: str = ""


@dataclass(frozen=True)
class Guide:
    """One guide: a title and parts, each with a heading (empty for the opening) and blocks."""

    title: str
    parts: tuple[tuple[str, tuple[Block, ...]], ...]

    def code(self) -> list[Block]:
        """Return the blocks of code, in order."""
        return [block for _, blocks in self.parts for block in blocks if block.language]


def picture_of(topic: str, made: str) -> Path:
    """Return where the package keeps the picture that a guide's commands make at `made`."""
    return _FOLDER / "pictures" / f"{topic}-{Path(made).name}"


def text_of(topic: str) -> str:
    """Return the Markdown of a guide.

    Raises
    ------
    UsageError
        When there is no such guide.
    """
    if topic not in TOPICS:
        raise UsageError(f"there is no guide '{topic}'", hint=did_you_mean(topic, TOPICS))
    return (_FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def guide(topic: str) -> Guide:
    """Return a guide in its parts; raises as :func:`text_of`."""
    return parsed(text_of(topic))


def title_of(topic: str) -> str:
    """Return the title of a guide."""
    return text_of(topic).splitlines()[0].removeprefix("# ")


def parsed(text: str) -> Guide:
    """Return the guide that is written in `text`."""
    title, parts = "", [("", [])]
    lines = iter(text.splitlines())
    words: list[str] = []

    def end() -> None:
        if words:
            item = words[0].startswith("- ")
            parts[-1][1].append(Block(" ".join(words).removeprefix("- "), item=item))
            words.clear()

    for line in lines:
        if line.startswith(("# ", "## ", "```", "- ", "![")) or not line.strip():
            end()
        if line.startswith("# "):
            title = line[2:]
        elif line.startswith("## "):
            parts.append((line[3:], []))
        elif picture := _PICTURE.fullmatch(line):
            parts[-1][1].append(Block(picture[1], picture=picture[2]))
        elif line.startswith("```"):
            language, _, file = line[3:].partition(" ")
            code = list(iter(lines.__next__, "```"))
            parts[-1][1].append(Block("\n".join(code), language or "text", file))
        elif line.strip():
            words.append(line.strip())
    end()
    return Guide(title, tuple((heading, tuple(blocks)) for heading, blocks in parts if blocks))
