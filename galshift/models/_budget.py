"""Networks that a file describes are built within what the file's own tensors allow.

A header of a few bytes can ask for a layer of 10^9 outputs, or 10^9 layers.  `within` counts the elements
that torch is asked for and stops before they are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from galshift.errors import DataError

# Buffers that follow from the options, the image that measures the features, draws before they are scaled.
_BESIDES = 30_000_000
_COPIES = 6
_MOST_NUMBER = 1_000_000
_MOST_DEPTH = 40
_MAKERS = ("empty", "zeros", "ones", "full", "rand", "arange", "eye", "linspace", "normal", "tril", "triu")


class TooLarge(Exception):
    """A network asks for more than its tensors."""


class within(TorchDispatchMode):
    """Stop when the tensors made in the block have far more elements than `tensors`.

    Raises
    ------
    TooLarge
        Before the memory is asked for.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        self.left = _BESIDES + _COPIES * sum(tensor.numel() for tensor in tensors)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would import its compiler, 0.8 s, to hide this from it; nothing here is compiled."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what `func` would make, then call it."""
        name = func.overloadpacket.__name__.removeprefix("new_")
        if name.startswith(_MAKERS):
            self.left -= _asked(args)
            if self.left < 0:
                raise TooLarge
        return func(*args, **(kwargs or {}))


def _asked(args: tuple[Any, ...]) -> int:
    """Return how many elements a call asks for: the product of its size, or the largest number in it."""
    sizes = next((arg for arg in args if isinstance(arg, list | tuple)), None)
    if sizes is not None:
        return math.prod(int(side) for side in sizes)
    numbers = [int(abs(arg)) for arg in args if isinstance(arg, int | float) and math.isfinite(arg)]
    return max(numbers, default=0)


def check_numbers(value: Any, where: object, depth: int = 0) -> None:
    """Refuse a description with a whole number that no network has, or that is nested without end.

    Raises
    ------
    DataError
        With the number.
    """
    if depth > _MOST_DEPTH:
        raise DataError(f"the description of the network is nested more than {_MOST_DEPTH} deep", where=where)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            check_numbers(item, where, depth + 1)
    elif isinstance(value, int) and not -_MOST_NUMBER <= value <= _MOST_NUMBER:
        shown = str(value)[:12] if abs(value) < 10**12 else "a number above 10^12"
        raise DataError(
            f"the description of the network says {shown}, and {_MOST_NUMBER} is the limit", where=where
        )


def too_large(where: object) -> DataError:
    """Return the error of a network that asks for more than its tensors."""
    return DataError(
        "the description asks for a network far larger than the weights in the file",
        where=where,
        hint="the description is damaged, or belongs to other weights",
    )
