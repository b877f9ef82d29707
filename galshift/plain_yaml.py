"""YAML of a user's as plain data: no aliases, no tags of code, no nesting without end, no endless numbers."""

from __future__ import annotations

from typing import Any

import yaml

MOST_DEPTH = 50
# Of any spelling; YAML 1.1 reads 1:1:1:... in base 60.
_MOST_DIGITS = 40


class NotPlain(yaml.YAMLError):
    """What is not plain data; `line` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses while it reads, before an alias or a number is made."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node, or refuse it."""
        line = self.peek_event().start_mark.line + 1
        if self.check_event(yaml.AliasEvent):
            raise NotPlain("there are no YAML aliases (*name) here", line)
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise NotPlain(f"it is nested more than {MOST_DEPTH} deep", line)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _number(loader: _Loader, node: yaml.ScalarNode) -> int:
    if len(node.value) > _MOST_DIGITS:
        raise NotPlain(f"a number has more than {_MOST_DIGITS} digits", node.start_mark.line + 1)
    return loader.construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _number)


def load_plain(text: str) -> Any:
    """Return the plain data in `text`.

    Raises
    ------
    NotPlain
        With the problem and its line, also for what is no YAML at all.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except NotPlain:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise NotPlain(str(problem), mark.line + 1 if mark is not None else 0) from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        # Dates that are none, keys that cannot be keys.
        raise NotPlain(f"a value cannot be read: {error}", 0) from error
