"""References of a recipe: ``${step}`` and its relatives, ``${matrix.axis}``, ``${data.name}``, no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_REFERENCE = re.compile(
    r"^(?:(?P<label>[^=${}]+)=)?\$\{(?P<name>[A-Za-z][A-Za-z0-9_-]*)(?P<every>\[\*\])?(?:\.(?P<role>[A-Za-z0-9_.-]+))?\}$"
)


@dataclass(frozen=True)
class Reference:
    """One reference.

    Attributes
    ----------
    name : str
        The step, or ``matrix``, or ``data``.
    role : str or None
        Which output of the step, axis of the matrix or entry of the data block; None is the step's run
        directory or product.
    every : bool
        True for ``${step[*]}``: every instance of a step that a matrix repeats.
    label : str or None
        The name given to a data set: ``wide=${mocks}``.
    """

    name: str
    role: str | None = None
    every: bool = False
    label: str | None = None

    @property
    def axis(self) -> str | None:
        """The matrix axis that is meant, or None for a step."""
        return self.role if self.name == "matrix" else None


def parse(value: Any) -> Reference | None:
    """Return the reference that `value` is, or None."""
    found = _REFERENCE.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    return Reference(found["name"], found["role"], bool(found["every"]), found["label"])


def is_malformed(value: Any) -> bool:
    """Tell whether `value` is text that was meant as a reference but is none."""
    return isinstance(value, str) and "${" in value and parse(value) is None


def walk(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield (key path, scalar) for every scalar inside nested dicts and lists."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from walk(item, (*place, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from walk(item, (*place, index))
    else:
        yield place, value


def substitute(value: Any, replace: Callable[[Reference], Any]) -> Any:
    """Return `value` with every reference replaced by what `replace` returns for it.

    A list that `replace` returns for an item of a list is spliced into it: ``[${a}, ${b[*]}]`` is flat.
    """
    if isinstance(value, Mapping):
        return {key: substitute(item, replace) for key, item in value.items()}
    if isinstance(value, list | tuple):
        flat: list[Any] = []
        for item in value:
            new = substitute(item, replace)
            spliced = parse(item) is not None and isinstance(new, list)
            flat.extend(new if spliced else [new])
        return flat
    reference = parse(value)
    return value if reference is None else replace(reference)
