"""Read YAML as people mean it: YAML 1.2 scalars, a key given twice refused, and the line of every key kept.

PyYAML follows YAML 1.1, where ``1e-3`` is text, ``12:30:00`` is 45000, ``012`` is 10 and ``off`` is False; a
right ascension typed without quotes would be corrupted.  Only plain data can be made: no tags, no code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from galshift.bounds import plain_file
from galshift.errors import ConfigError, DataError

KeyPath = tuple[str | int, ...]

MAX_ITEMS = 100_000
_MOST_BYTES = 10_000_000
_MOST_DIGITS = 250


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core schema on PyYAML's parser."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_INT = re.compile(r"^[-+]?(?:[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    if len(text) > _MOST_DIGITS:  # above that, a float cannot hold it either
        raise ValueError(f"a whole number of more than {_MOST_DIGITS} digits")
    return int(text[2:], base) if base != 10 else int(text)


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")
    return float(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes
    ----------
    data : object
        Plain dicts, lists and scalars.
    lines : dict of tuple to int
        Line (from 1) where each key or list item stands.
    name : str
        File name for messages.
    moved : mapping of tuple to tuple
        Where keys stand that are told of by another path: see :mod:`galshift.recipes.scale`.
    """

    data: Any
    lines: dict[KeyPath, int]
    name: str
    moved: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def told(self, place: KeyPath) -> KeyPath:
        """Return the key path under which the file has `place`."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.moved:
                return (*self.moved[place[:end]], *place[end:])
        return place

    def line(self, place: KeyPath) -> int:
        """Return the line of `place`, or of the nearest enclosing key."""
        place = self.told(place)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def load_text(text: str, name: str = "<text>") -> Document:
    """Parse YAML `text`.

    Raises
    ------
    ConfigError
        For bad syntax, a key given twice (all of them), a tag, or an alias that contains itself.
    """
    try:
        return _load(text, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        hint = _syntax_hint(text.splitlines()[mark.line : mark.line + 1] if mark else [])
        raise ConfigError(str(error.problem or error.context), where=where, hint=hint) from None
    except yaml.YAMLError as error:
        raise ConfigError(str(error).split("\n")[0], where=name, hint="this is not valid YAML") from None
    except RecursionError:
        raise ConfigError("this is nested too deeply", where=name) from None
    except ValueError as error:
        raise ConfigError(f"a value cannot be read: {error}", where=name) from None


def _load(text: str, name: str) -> Document:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None, {}, name)
        walk = _Walk(name)
        walk.visit(node, (), frozenset())
        if walk.problems:
            raise ConfigError(f"{name} cannot be read", problems=walk.problems)
        return Document(loader.construct_document(node), walk.lines, name)
    finally:
        loader.dispose()


def load_file(path: str | Path) -> Document:
    """Parse the YAML file at `path`; raises ConfigError when it is missing or not UTF-8 text."""
    path = Path(path)
    try:
        if plain_file(path, empty=True) > _MOST_BYTES:
            raise ConfigError(f"this is longer than {_MOST_BYTES} bytes, the limit of a recipe", where=path)
        text = path.read_text(encoding="utf-8")
    except DataError as error:
        raise ConfigError(error.what, where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"this file cannot be read: {error}", where=path) from None
    return load_text(text, path.name)


def parse_scalar(text: str) -> Any:
    """Return the value that `text` has as YAML; text that is not valid YAML is kept as it stands."""
    try:
        return load_text(text, "value").data
    except ConfigError:
        return text


def _syntax_hint(line: list[str]) -> str:
    if line and "${" in line[0] and "{" in line[0].replace("${", ""):
        return 'inside braces a reference needs quotes: {data: "${step}"}'
    return "this is not valid YAML"


class _Walk:
    """Notes the line of every key path, and what is wrong with the form of a document."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[str] = []

    def visit(self, node: yaml.Node, place: KeyPath, above: frozenset[int]) -> None:
        """Note `node` at key path `place` and everything inside it; `above` are the nodes around it."""
        line = node.start_mark.line + 1
        if id(node) in above:
            raise ConfigError("an alias contains itself", where=f"{self.name}:{line}")
        if len(self.lines) > MAX_ITEMS:
            # A few lines of aliases to aliases would otherwise stand for billions of values.
            raise ConfigError(f"more than {MAX_ITEMS} values", where=f"{self.name}:{line}")
        self.lines.setdefault(place, line)
        above = above | {id(node)}
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, (*place, index), above)
        elif isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, place, above)
        elif any("\ud800" <= character <= "\udfff" for character in node.value):
            self.problems.append(f"{self.name}:{line}  this text holds half a character (a lone surrogate)")

    def _visit_mapping(self, node: yaml.MappingNode, place: KeyPath, above: frozenset[int]) -> None:
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(f"{self.name}:{line}  a key must be a plain word")
                continue
            text = str(key.value)
            if text in seen:
                here = ".".join(str(part) for part in (*place, text))
                self.problems.append(
                    f"{self.name}:{line}  {here}: this key was given already on line {seen[text]}"
                )
                continue
            seen[text] = line
            self.lines[(*place, text)] = line
            self.visit(value, (*place, text), above)
