"""BibTeX of the papers behind a recipe: of its methods, networks, selectors, surveys, settings and data.

What each of them states as its reference (``Long et al. 2015, arXiv:1502.02791``) is read; titles are not
known and not made up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import galshift
from galshift import settings, surveys
from galshift.data.public import names as public_names
from galshift.data.public import public_set
from galshift.methods import METHODS
from galshift.methods.weighting import WEIGHTINGS
from galshift.models import MODELS
from galshift.report.paper import escaped
from galshift.selection import SELECTORS

_ARXIV = re.compile(r"arXiv:\s*((?:[a-z-]+/)?\d{4}\.?\d{3,5})", re.IGNORECASE)
_DOI = re.compile(r"doi:\s*(10\.[^\s,;)]+)", re.IGNORECASE)
_YEAR = re.compile(r"\b(1[6-9]\d\d|20\d\d)\b")
_JOURNAL = re.compile(r"^[\s,(]*([A-Z][A-Za-z&. ]*?) (\d+), ([A-Z]?\d[\w.]*)")
_NAME = re.compile(r"^[^\W\d_a-z][\w.'’ -]*$")
_REGISTRIES = {"method": METHODS, "model": MODELS, "selector": SELECTORS, "weighting": WEIGHTINGS}
# Keys of a step's values under which a preset of a survey is named.
_SURVEYS = ("survey", "pair")


@dataclass(frozen=True)
class Paper:
    """One paper as its reference states it.

    Attributes
    ----------
    authors : tuple of str
        Family names; the last may be ``others``.
    year, arxiv, doi, journal, volume, page : str
        Empty where not stated.
    text : str
        The reference itself.
    """

    authors: tuple[str, ...]
    year: str = ""
    arxiv: str = ""
    doi: str = ""
    journal: str = ""
    volume: str = ""
    page: str = ""
    text: str = ""

    @property
    def identity(self) -> str:
        """What tells it from other papers."""
        where = f"{self.journal} {self.volume} {self.page}" if self.journal else ""
        return self.arxiv or self.doi or where or " ".join((*self.authors, self.year))


def papers(text: str) -> list[Paper]:
    """Return the papers that a reference names, separated by semicolons; what names none gives none."""
    return [paper for part in text.split(";") if (paper := _paper(part.strip())) is not None]


def _paper(text: str) -> Paper | None:
    arxiv, doi = _ARXIV.search(text), _DOI.search(text)
    # Numbers of arXiv and DOIs look like years and pages.
    bare = _DOI.sub("", _ARXIV.sub("", text))
    year = _YEAR.search(bare)
    authors = _authors(bare[: year.start()]) if year else ()
    found = _JOURNAL.match(bare[year.end() :]) if year else None
    if not (arxiv or doi or (authors and year)):
        return None
    number = arxiv[1] if arxiv else ""
    when = year[1] if year else f"20{number[:2]}" if re.match(r"\d{4}\.", number) else ""
    parts = (found[1], found[2], found[3].rstrip(".")) if found else ("", "", "")
    return Paper(authors, when, number, doi[1] if doi else "", *parts, text)


def _authors(text: str) -> tuple[str, ...]:
    """Return the family names before a year; of ``what it gives, Bottrell et al.`` only the name."""
    text = text.rsplit("(", 1)[-1].strip(" ,(")
    more = text.endswith("et al.")
    words = text.removesuffix("et al.").strip(" ,")
    names = [words.rsplit(",", 1)[-1].strip()] if more else re.split(r",\s*|\s+&\s+", words)
    names = [name for name in names if name]
    if not names or not all(_NAME.match(name) and len(name.split()) <= 3 for name in names):
        return ()
    return (*names, *(("others",) if more else ()))


def references(lock: Mapping[str, Any]) -> dict[str, str]:
    """Return what a lock's steps are built on, as (what it is) to (its reference), sorted.

    Parameters
    ----------
    lock : mapping
        As of :func:`galshift.recipes.lock.read_lock`.
    """
    found: dict[str, str] = {}
    for step in lock.get("steps", {}).values():
        parameters = step.get("parameters") or {}
        for used in step.get("versions") or {}:
            kind, _, name = used.partition(" ")
            if kind in _REGISTRIES and name in _REGISTRIES[kind].names():
                found[used] = getattr(_REGISTRIES[kind].get(name), "reference", "") or ""
        for key, value in _walk(parameters):
            if key == "weighting" and value in WEIGHTINGS.names():
                found[f"weighting {value}"] = getattr(WEIGHTINGS.get(value), "reference", "") or ""
            elif key in _SURVEYS and value in surveys.names():
                found[f"survey {value}"] = "; ".join(surveys.load(value).sources.values())
            elif key == "settings" and value in settings.names():
                found[f"settings {value}"] = settings.load(value).sources.get("paper", "")
        if step.get("uses") == "fetch" and parameters.get("name") in public_names():
            found[f"data {parameters['name']}"] = public_set(parameters["name"]).paper
    return {used: text for used, text in sorted(found.items()) if text}


def bibtex(texts: Iterable[str]) -> str:
    """Return the BibTeX file of the papers that references name, and of galshift: one entry each, by key."""
    known: dict[str, Paper] = {}
    for text in texts:
        for paper in papers(text):
            first = known.setdefault(paper.identity, paper)
            if not first.journal and paper.journal:
                known[paper.identity] = paper
    version = escaped(galshift.__version__)
    entries = {"galshift": [("title", "galshift"), ("note", f"Version {version}")]}
    for paper in sorted(known.values(), key=lambda one: (_key(one), one.identity)):
        key, letter = _key(paper), "a"
        while key in entries:
            key, letter = f"{_key(paper)}{letter}", chr(ord(letter) + 1)
        entries[key] = _fields(paper)
    return "\n".join(_entry(key, fields) for key, fields in entries.items())


def _fields(paper: Paper) -> list[tuple[str, str]]:
    fields = [("author", " and ".join("others" if a == "others" else f"{{{a}}}" for a in paper.authors))]
    fields += [("year", paper.year), ("journal", escaped(paper.journal)), ("volume", paper.volume)]
    fields += [("pages", paper.page), ("eprint", paper.arxiv), ("archiveprefix", "arXiv" * bool(paper.arxiv))]
    return [*fields, ("doi", paper.doi), ("note", escaped(paper.text))]


def _entry(key: str, fields: list[tuple[str, str]]) -> str:
    kind = "article" if any(name == "journal" and value for name, value in fields) else "misc"
    lines = [f"  {name} = {{{value}}}," for name, value in fields if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])


def _key(paper: Paper) -> str:
    name = paper.authors[0] if paper.authors and paper.authors[0] != "others" else f"arxiv{paper.arxiv}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"{re.sub(r'[^a-z0-9]+', '', plain) or 'paper'}{paper.year if paper.authors else ''}"


def _walk(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield (key, text) for every text in nested values; what is named by its kind has the kind's name."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            if isinstance(value.get("kind"), str):
                yield key, value["kind"]
            yield from _walk(value)
        elif isinstance(value, str):
            yield key, value
        elif isinstance(value, list | tuple):
            yield from ((key, item) for item in value if isinstance(item, str))
