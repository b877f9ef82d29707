"""Write down the calls that a network makes on an image of known shape.

Plain symbolic tracing fails on code that asks a tensor for its shape, to branch on it or to split channels.
Here every recorded value carries an example computed beside it, and answers with that example's sizes; the
size of the batch alone stays symbolic.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

EXAMPLE = "example"  # key of a node's example value in ``node.meta``
_BATCH = 2


class _Shaped(fx.Proxy):
    """A recorded value that knows its sizes, except that of the batch."""

    @property
    def shape(self) -> tuple:
        """Return the number of images, symbolic, and the other sizes."""
        return (self.size(0), *_example(self).shape[1:])

    def size(self, dim: int | None = None) -> Any:
        """Return one size or all; that of the batch is recorded as a call."""
        if dim is None:
            return self.shape
        if dim in (0, -_example(self).dim()):
            return self.tracer.create_proxy("call_method", "size", (self, 0), {})
        return _example(self).shape[dim]

    def dim(self) -> int:
        """Return the number of dimensions."""
        return _example(self).dim()

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return _example(self).dim()


class _Tracer(fx.Tracer):
    """Records calls and computes an example of each."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._image = image
        self._running = False

    def proxy(self, node: fx.Node) -> _Shaped:
        """Return the stand-in of `node`."""
        return _Shaped(node, self)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict) -> Any:
        """Return parameters themselves: what is computed from them alone is computed now."""
        return attr_val

    def call_module(self, m: nn.Module, forward: Any, args: tuple, kwargs: dict) -> Any:
        """Record a module's call; while an example is computed, just make it."""
        return forward(*args, **kwargs) if self._running else super().call_module(m, forward, args, kwargs)

    def create_node(self, kind: str, *rest: Any, **named: Any) -> fx.Node:
        """Record one call, and keep its example."""
        node = super().create_node(kind, *rest, **named)
        if kind != "output":
            node.meta[EXAMPLE] = self._run(node)
        return node

    def _run(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._image
        if node.op == "get_attr":
            return _attribute(self.root, node.target)
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: n.meta[EXAMPLE])
        if node.op == "call_method":
            return getattr(args[0], node.target)(*args[1:], **kwargs)
        function = self.root.get_submodule(node.target) if node.op == "call_module" else node.target
        self._running = True
        try:
            return function(*args, **kwargs)
        finally:
            self._running = False


def record(model: nn.Module, shape: tuple[int, int, int]) -> fx.GraphModule | None:
    """Return the calls of `model` (in evaluation mode) on images (B, C, H, W), or None where not readable.

    Every node's ``meta["example"]`` holds its value for two blank images of `shape` (C, H, W).
    """
    parameter = next(model.parameters(), None)
    device = None if parameter is None else parameter.device
    tracer = _Tracer(torch.zeros(_BATCH, *shape, device=device))
    root = copy.copy(model)  # tracing hangs constants on it
    try:
        with torch.no_grad():
            traced = fx.GraphModule(root, tracer.trace(root))
        traced.graph.eliminate_dead_code()
        return traced
    except Exception:  # tracing runs the model's own code with stand-ins: any failure means "not readable"
        return None


def _example(proxy: fx.Proxy) -> Tensor:
    return proxy.node.meta[EXAMPLE]


def _attribute(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root
