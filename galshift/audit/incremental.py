"""Forward passes of one image with a small patch changed, recomputing only what the patch reaches.

A change of one pixel reaches a small window of every map of a convolution network.  The maps of the clean
image are cached; for each query only the windows are recomputed, layer by layer through the network's own
layers (:mod:`galshift.audit.graph`), pasted into the clean maps, and given to the head; a linear layer of a
whole map (:mod:`galshift.audit.dense`) gets the windows alone.  The result equals the full forward up to the
rounding of float32 sums.

Windows are of one size for all queries of a layer (the largest any alignment needs) and are kept inside the
map, so a batch of queries at any positions, edges and corners included, is one batch of tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from galshift.audit.dense import DenseForward, Order
from galshift.audit.graph import Layer, Network
from galshift.audit.layers import Local
from galshift.types import Output


@dataclass(frozen=True)
class Window:
    """Where the queries changed one map: first row and column of each query (B,), and a common size."""

    top: Tensor
    left: Tensor
    height: int
    width: int


@dataclass(frozen=True)
class Gather:
    """How one layer's input is put together: rows of the clean map, and rows of the changed windows."""

    index: Tensor
    height: int
    width: int


@dataclass(frozen=True)
class Plan:
    """Everything about a batch of positions that does not depend on pixel values."""

    size: int
    windows: dict[str, Window]
    gathers: dict[tuple[str, str], Gather]
    orders: tuple[Order, ...] = ()


class IncrementalForward:
    """The forward pass of one image at a time under many small changes.

    Parameters
    ----------
    network : Network
        What :func:`galshift.audit.graph.trace` returned.
    shape : tuple of int
        (C, H, W) of one image.
    patch : tuple of int
        Rows and columns of the changed patch.
    """

    def __init__(
        self, network: Network, shape: tuple[int, int, int], patch: tuple[int, int] = (1, 1)
    ) -> None:
        self.network = network
        self.shape = shape
        self.patch = patch
        self._maps: dict[str, Tensor] = {}
        self._rows: dict[tuple[str, str], Tensor] = {}
        self._dense = [DenseForward(dense) for dense in network.dense]

    @torch.inference_mode()
    def load(self, image: Tensor) -> None:
        """Keep the maps of the clean `image` (C, H, W)."""
        maps = {self.network.source: image[None].contiguous(memory_format=torch.channels_last)}
        self._rows = {}
        for layer in self.network.layers:
            inputs = [maps[name] for name in layer.inputs]
            if isinstance(layer.operation, Local):
                padded = layer.operation.pad(inputs[0])
                self._rows[layer.inputs[0], layer.name] = _rows(padded)
                maps[layer.name] = layer.operation.apply(padded)
            else:
                for name, value in zip(layer.inputs, inputs):
                    self._rows[name, layer.name] = _rows(value)
                maps[layer.name] = layer.operation.apply(*inputs)
        for name in self.network.frontier:
            self._rows[name, ""] = _rows(maps[name])
        for dense in self._dense:
            dense.load(maps[dense.source])
        self._maps = maps

    @torch.inference_mode()
    def plan(self, rows: Tensor, columns: Tensor) -> Plan:
        """Return what is needed to query patches whose first pixels are at `rows`, `columns` (B,).

        The patches must lie inside the image.  Needs :meth:`load` once, for the sizes of the maps; the plan
        then serves any image and any values.  It is made on the CPU: how much windows overlap decides what is
        done, and asking a GPU would wait for it.
        """
        rows, columns, device = rows.cpu(), columns.cpu(), self._maps[self.network.source].device
        sizes = {name: tuple(value.shape[2:]) for name, value in self._maps.items()}
        windows = {self.network.source: Window(rows, columns, *self.patch)}
        for layer in self.network.layers:
            windows[layer.name] = _reached(layer, windows, sizes)
        _widen_for_pools(self.network.layers, windows)
        gathers = {}
        for layer in self.network.layers:
            for name in layer.inputs:
                need = _needed_input(layer, windows[layer.name])
                padding = layer.operation.padding if isinstance(layer.operation, Local) else (0, 0)
                gather = _gather(need, windows[name], sizes[name], padding)
                if gather is not None:
                    gathers[name, layer.name] = gather
        for name in self.network.frontier:
            whole = Window(torch.zeros_like(rows), torch.zeros_like(rows), *sizes[name])
            gather = _gather(whole, windows[name], sizes[name], (0, 0))
            if gather is not None:
                gathers[name, ""] = gather
        moved = {key: replace(gather, index=gather.index.to(device)) for key, gather in gathers.items()}
        at = [windows[dense.source] for dense in self._dense]
        orders = [dense.order(one.top, one.left) for dense, one in zip(self._dense, at, strict=True)]
        return Plan(len(rows), windows, moved, tuple(orders))

    @torch.inference_mode()
    def forward(self, plan: Plan, values: Tensor) -> Output:
        """Return the model's output for each query of `plan`.

        Parameters
        ----------
        values : Tensor
            (B, C, h, w) what the changed patches hold, in the network's own input units.
        """
        maps = {self.network.source: values.contiguous(memory_format=torch.channels_last)}
        for layer in self.network.layers:
            inputs = [self._assemble(plan, name, layer.name, maps[name]) for name in layer.inputs]
            maps[layer.name] = layer.operation.apply(*inputs)
        whole = [self._assemble(plan, name, "", maps[name]) for name in self.network.frontier]
        answers = [
            dense.forward(order, maps[dense.source])
            for dense, order in zip(self._dense, plan.orders, strict=True)
        ]
        return self.network.head(*whole, *answers)

    def _assemble(self, plan: Plan, name: str, user: str, changed: Tensor) -> Tensor:
        """Return the part of map `name` that `user` reads: changed windows pasted into the clean map."""
        gather = plan.gathers.get((name, user))
        if gather is None:
            return changed
        source = torch.cat([self._rows[name, user], _rows(changed)])
        region = source.index_select(0, gather.index)
        return region.view(plan.size, gather.height, gather.width, -1).permute(0, 3, 1, 2)


def _rows(x: Tensor) -> Tensor:
    """Return (B, C, h, w) as (B h w, C), without copying where the memory is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _reached(layer: Layer, windows: dict[str, Window], sizes: dict[str, tuple[int, int]]) -> Window:
    """Return the window of the layer's map that changes in its inputs can reach."""
    operation, extent = layer.operation, sizes[layer.name]
    if isinstance(operation, Local):
        before = windows[layer.inputs[0]]
        axes = zip((before.top, before.left), (before.height, before.width), range(2))
        spans = [
            _span(first, size, operation.kernel[a], operation.stride[a], operation.padding[a], extent[a])
            for first, size, a in axes
        ]
        return Window(spans[0][0], spans[1][0], spans[0][1], spans[1][1])
    tops, heights = _union([(windows[n].top, windows[n].height) for n in layer.inputs], extent[0])
    lefts, widths = _union([(windows[n].left, windows[n].width) for n in layer.inputs], extent[1])
    return Window(tops, lefts, heights, widths)


def _span(
    first: Tensor, size: int, kernel: int, stride: int, padding: int, extent: int
) -> tuple[Tensor, int]:
    """Return first index and number of the outputs that see input indices [first, first + size).

    Output o sees input o s − p … o s − p + k − 1.
    """
    number = min((size + kernel - 2) // stride + 1, extent)
    start = -torch.div(-(first + padding - kernel + 1), stride, rounding_mode="floor")
    return start.clamp(0, extent - number), number


def _union(spans: list[tuple[Tensor, int]], extent: int) -> tuple[Tensor, int]:
    """Return the smallest common-size span that holds every query's spans."""
    first = torch.stack([start for start, _ in spans]).amin(0)
    last = torch.stack([start + size for start, size in spans]).amax(0)
    number = min(int((last - first).max()), extent)
    return first.clamp(0, extent - number), number


def _needed_input(layer: Layer, window: Window) -> Window:
    """Return the part of the layer's input (in unpadded indices) that its window is computed from."""
    operation = layer.operation
    if not isinstance(operation, Local):
        return window
    starts = [o * s - p for o, s, p in zip((window.top, window.left), operation.stride, operation.padding)]
    sizes = [
        (n - 1) * s + k for n, s, k in zip((window.height, window.width), operation.stride, operation.kernel)
    ]
    return Window(starts[0], starts[1], sizes[0], sizes[1])


def _widen_for_pools(layers: tuple[Layer, ...], windows: dict[str, Window]) -> None:
    """Let a convolution compute just what the pool after it reads: nothing is pasted in between."""
    by_name = {layer.name: layer for layer in layers}
    for layer in reversed(layers):
        operation = layer.operation
        if not (isinstance(operation, Local) and operation.pool and not any(operation.padding)):
            continue
        chain, name = [], layer.inputs[0]
        while name in by_name and by_name[name].users == 1:
            chain.append(name)
            before = by_name[name]
            if isinstance(before.operation, Local):
                break
            name = before.inputs[0] if len(before.inputs) == 1 else ""
        if chain and isinstance(by_name[chain[-1]].operation, Local):
            need = _needed_input(layer, windows[layer.name])
            windows.update(dict.fromkeys(chain, need))


def _gather(need: Window, held: Window, extent: tuple[int, int], padding: tuple[int, int]) -> Gather | None:
    """Return how to assemble `need` from a clean map of size `extent`, padded, and the `held` windows.

    None where the held windows are already what is needed.
    """
    same = need.height == held.height and need.width == held.width
    if same and torch.equal(need.top, held.top) and torch.equal(need.left, held.left):
        return None
    device = held.top.device
    y = need.top[:, None] + torch.arange(need.height, device=device)
    x = need.left[:, None] + torch.arange(need.width, device=device)
    width = extent[1] + 2 * padding[1]
    clean = (y + padding[0])[:, :, None] * width + (x + padding[1])[:, None, :]
    rows_before = (extent[0] + 2 * padding[0]) * width
    query = torch.arange(len(y), device=device)[:, None, None] * (held.height * held.width)
    dy, dx = (y - held.top[:, None])[:, :, None], (x - held.left[:, None])[:, None, :]
    inside = (dy >= 0) & (dy < held.height) & (dx >= 0) & (dx < held.width)
    index = torch.where(inside, rows_before + query + dy * held.width + dx, clean)
    return Gather(index.flatten().to(torch.int32), need.height, need.width)
