"""What a reducer is: a frozen config and one function of a cloud of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from galshift.types import Strict

if TYPE_CHECKING:
    import numpy as np

# A reducer's options are a frozen config like any other; an unknown option is refused by name.
ReducerConfig = Strict


class Reducer:
    """One way to draw features on a page; subclass it once, in ``galshift/embedding/reducers/<name>.py``.

    Class attributes
    ----------------
    Config : type of ReducerConfig
        Its options.
    version : int
        Raised when its numbers change.
    """

    Config: ClassVar[type[Strict]] = ReducerConfig
    version: ClassVar[int] = 1

    def __init__(self, config: Strict | None = None) -> None:
        self.config = self.Config() if config is None else config

    def reduce(self, features: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return (N, 2) coordinates of finite (N, D) float64 features; the same for the same `seed`."""
        raise TypeError(f"{type(self).__name__} has no reduce()")
