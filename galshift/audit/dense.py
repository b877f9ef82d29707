"""A linear layer that reads a whole map, flattened: only what the changed windows give it is computed.

Such a layer is a sum over the map's pixels.  Where a query changed a window, the other pixels' part is that
of the clean image, which is known; the window's own part is a product with the few columns of the weights
that belong to its pixels.  Queries are sorted by where their window is, so that each place costs one product.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

_PLACES = 512  # whose weights are held at the most


@dataclass(frozen=True)
class Dense:
    """A linear layer of the map `source`; `name` is that of its answer among the head's arguments."""

    name: str
    source: str
    layer: nn.Linear


@dataclass(frozen=True)
class Order:
    """Queries sorted by the place of their window: ``places`` holds row, column and number of queries."""

    sorted: Tensor
    back: Tensor
    places: tuple[tuple[int, int], ...]
    numbers: tuple[int, ...]


def dense_readers(node: fx.Node, modules: dict[str, nn.Module]) -> tuple[fx.Node, ...]:
    """Return the linear layers that read the map `node`; none where anything else reads it too."""
    flat = list(node.users)
    if not flat or not all(_flattens(user, modules) for user in flat):
        return ()
    readers = [user for one in flat for user in one.users]
    plain = all(
        reader.op == "call_module" and type(modules[reader.target]) is nn.Linear for reader in readers
    )
    return tuple(readers) if plain else ()


def _flattens(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether `node` makes a row of numbers of each map, and nothing else."""
    if node.op == "call_module":
        module = modules[node.target]
        return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
    called = node.target in ("flatten", torch.flatten)
    return called and tuple(node.args[1:]) == (1,) and not node.kwargs


class DenseForward:
    """The answers of one linear layer for windows changed in the map that it reads.

    Parameters
    ----------
    dense : Dense
    """

    def __init__(self, dense: Dense) -> None:
        self.source, self._layer = dense.source, dense.layer
        self._parts: dict[tuple[int, ...], Tensor] = {}
        self._rest: dict[tuple[int, ...], Tensor] = {}

    def load(self, clean: Tensor) -> None:
        """Take the map (1, C, H, W) of the clean image."""
        self._clean, self._rest = clean, {}
        self._whole = functional.linear(clean.flatten(1), self._layer.weight, self._layer.bias)

    def order(self, top: Tensor, left: Tensor) -> Order:
        """Return in which order windows whose first pixels are at `top`, `left` (B,) are asked about."""
        places, own = torch.unique(torch.stack([top, left], dim=1), dim=0, return_inverse=True)
        order = own.argsort(stable=True)
        numbers = own.bincount(minlength=len(places))
        found = tuple(tuple(place) for place in places.tolist())
        return Order(order, order.argsort(), found, tuple(numbers.tolist()))

    def forward(self, order: Order, changed: Tensor) -> Tensor:
        """Return the layer's answers (B, D) for the windows `changed` (B, C, h, w)."""
        size = tuple(changed.shape[2:])
        rows = changed.permute(0, 2, 3, 1).flatten(1).index_select(0, order.sorted)
        answers = rows.new_empty(len(rows), self._layer.out_features)
        parts = rows.split(order.numbers), answers.split(order.numbers)
        for place, part, answer in zip(order.places, *parts, strict=True):
            weight, rest = self._at(*place, *size)
            torch.addmm(rest, part, weight, out=answer)
        return answers.index_select(0, order.back)

    def _at(self, top: int, left: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return the weights (h w C, D) of a window's pixels, and what all others add to an answer."""
        place = (top, left, height, width)
        window = (slice(top, top + height), slice(left, left + width))
        if place not in self._parts:
            if len(self._parts) >= _PLACES:
                self._parts.clear()
            weight = self._layer.weight.detach().view(-1, *self._clean.shape[1:])
            self._parts[place] = weight[:, :, *window].permute(2, 3, 1, 0).flatten(0, 2)
        if place not in self._rest:
            clean = self._clean[:, :, *window].permute(0, 2, 3, 1).flatten(1)
            self._rest[place] = self._whole - clean @ self._parts[place]
        return self._parts[place], self._rest[place]
