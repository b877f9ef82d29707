"""Read a network's own layers: which of them look at a neighbourhood only, and what follows them.

A network is traced once.  Its *trunk* is every layer whose output pixel depends on a small window of its
input (convolution, pooling) or on one position only (batch norm in evaluation, activations, sums of such
maps); its *head* is the rest, run on whole maps.  Nothing here knows one architecture from another.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

_POINTWISE_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
    nn.Softplus, nn.Hardtanh, nn.Hardswish, nn.Identity, nn.Dropout, nn.Dropout2d,
)  # fmt: skip
_POINTWISE_FUNCTIONS = frozenset(
    {F.relu, torch.relu, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, torch.sigmoid, torch.tanh, F.softplus}
)
_POINTWISE_METHODS = {"relu": torch.relu, "relu_": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
_SUMS = frozenset({operator.add, operator.iadd, torch.add})


@dataclass(frozen=True)
class Local:
    """A layer that looks at a window: `apply` works on input already padded with `fill`.

    ``kernel`` is the extent of the window along y and x [pixel], dilation included.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    fill: float
    pool: bool
    apply: Callable[[Tensor], Tensor] = field(repr=False)

    def pad(self, x: Tensor) -> Tensor:
        """Return `x` (B, C, H, W) with this layer's border."""
        vertical, horizontal = self.padding
        return (
            F.pad(x, (horizontal, horizontal, vertical, vertical), value=self.fill)
            if any(self.padding)
            else x
        )


@dataclass(frozen=True)
class Pointwise:
    """A layer that treats every position alike and alone; several inputs are combined in place."""

    apply: Callable[..., Tensor] = field(repr=False)


@dataclass
class Layer:
    """One layer of the trunk: its name, operation and the names of the layers that feed it."""

    name: str
    operation: Local | Pointwise
    inputs: tuple[str, ...]
    users: int = 0


@dataclass(frozen=True)
class Network:
    """A traced network.

    Attributes
    ----------
    source : str
        Name of the input image in `layers`.
    layers : tuple of Layer
        The trunk in the order of computation.
    frontier : tuple of str
        The trunk maps that the head reads, in the order of its arguments.
    head : nn.Module
        From those maps to the model's own output.
    """

    source: str
    layers: tuple[Layer, ...]
    frontier: tuple[str, ...]
    head: nn.Module


def trace(model: nn.Module) -> Network | None:
    """Return the layers of `model` (in evaluation mode), or None where its code cannot be read this way.

    Notes
    -----
    None means only that every query needs the whole network: code that branches on values, no local layer.
    """
    try:
        traced = fx.symbolic_trace(model)
    except Exception:  # tracing runs the model's own code with stand-ins: any failure means "not readable"
        return None
    nodes = list(traced.graph.nodes)
    sources = [node for node in nodes if node.op == "placeholder"]
    if len(sources) != 1:
        return None
    source = sources[0]
    depends = _dependents(nodes, source)
    constants = _constants(traced, nodes, depends)
    modules = dict(traced.named_modules())
    trunk: dict[fx.Node, Layer] = {}
    for node in nodes:
        inputs = [arg for arg in node.all_input_nodes if arg in depends]
        if node in depends and node is not source and all(arg is source or arg in trunk for arg in inputs):
            operation = _operation(node, modules, constants, depends)
            if operation is not None:
                trunk[node] = Layer(
                    node.name, operation, tuple(arg.name for arg in _arguments(node, depends))
                )
    trunk = _needed(trunk, depends)
    frontier = [n for n in (source, *trunk) if any(user in depends and user not in trunk for user in n.users)]
    if source in frontier or not any(isinstance(layer.operation, Local) for layer in trunk.values()):
        return None
    for node, layer in trunk.items():
        layer.users = len(node.users)
    return Network(
        source.name,
        tuple(trunk.values()),
        tuple(n.name for n in frontier),
        _head(traced, trunk, source, frontier),
    )


def _dependents(nodes: list[fx.Node], source: fx.Node) -> set[fx.Node]:
    """Return the nodes whose value depends on the image."""
    found = {source}
    for node in nodes:
        if any(arg in found for arg in node.all_input_nodes):
            found.add(node)
    return found


def _constants(traced: fx.GraphModule, nodes: list[fx.Node], depends: set[fx.Node]) -> dict[fx.Node, object]:
    """Evaluate what does not depend on the image: parameters, and kernels built from them."""
    interpreter = fx.Interpreter(traced)
    values: dict[fx.Node, object] = {}
    with torch.no_grad():
        for node in nodes:
            if node not in depends and node.op not in ("placeholder", "output"):
                interpreter.env = values
                values[node] = interpreter.run_node(node)
    return values


def _arguments(node: fx.Node, depends: set[fx.Node]) -> list[fx.Node]:
    """Return the image-dependent inputs of `node` in order, repeated where it reads one twice."""
    flat = [item for arg in node.args for item in (arg if isinstance(arg, list | tuple) else [arg])]
    return [item for item in flat if isinstance(item, fx.Node) and item in depends]


def _needed(trunk: dict[fx.Node, Layer], depends: set[fx.Node]) -> dict[fx.Node, Layer]:
    """Drop pointwise layers at the end whose only effect is in the head, where whole maps are cheaper."""
    return {node: layer for node, layer in trunk.items() if any(user in depends for user in node.users)}


def _head(traced: fx.GraphModule, trunk: dict, source: fx.Node, frontier: list[fx.Node]) -> nn.Module:
    """Return the rest of the network as a module of the frontier's maps."""
    graph = fx.Graph()
    copies = {node: graph.placeholder(node.name) for node in frontier}
    for node in traced.graph.nodes:
        if node is source or node in trunk:
            continue
        copies[node] = graph.node_copy(node, lambda argument: copies[argument])
    head = fx.GraphModule(traced, graph)
    graph.eliminate_dead_code()
    head.recompile()
    return head


def _operation(node: fx.Node, modules: dict, constants: dict, depends: set) -> Local | Pointwise | None:
    """Return what `node` does, or None where it looks at more than a window."""
    if node.op == "call_module":
        return _module_operation(modules[node.target])
    arguments = _arguments(node, depends)
    if node.op == "call_method":
        plain = node.target in _POINTWISE_METHODS and len(node.args) == 1 and not node.kwargs
        return Pointwise(_POINTWISE_METHODS[node.target]) if plain else None
    if node.op != "call_function":
        return None
    if node.target in _SUMS and len(arguments) == 2 and not node.kwargs:
        return Pointwise(torch.add)
    if node.target is torch.cat and node.kwargs.get("dim", (*node.args, 0)[1]) == 1:
        return Pointwise(_concatenate)
    if node.target in _POINTWISE_FUNCTIONS and len(arguments) == 1:
        kwargs = {key: value for key, value in node.kwargs.items() if key != "inplace"}
        return Pointwise(partial(node.target, **kwargs)) if len(node.args) == 1 else None
    if node.target in (F.conv2d, torch.conv2d) and len(arguments) == 1:
        return _function_convolution(node, constants)
    return None


def _concatenate(*maps: Tensor) -> Tensor:
    return torch.cat(maps, dim=1)


def _module_operation(module: nn.Module) -> Local | Pointwise | None:
    """Return what a leaf module does in evaluation mode."""
    if module.training:
        return None
    if isinstance(module, nn.Conv2d) and module.padding_mode == "zeros":
        return _convolution(
            module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups
        )
    if isinstance(module, nn.MaxPool2d) and not (module.ceil_mode or module.return_indices):
        return _pool(module, -torch.inf, F.max_pool2d) if _pair(module.dilation) == (1, 1) else None
    if isinstance(module, nn.AvgPool2d) and not module.ceil_mode and module.divisor_override is None:
        padded = any(_pair(module.padding))
        return _pool(module, 0.0, F.avg_pool2d) if module.count_include_pad or not padded else None
    if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
        return Pointwise(module)
    if type(module) in _POINTWISE_MODULES:
        return Pointwise(_not_in_place(module))
    return None


def _not_in_place(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the activation such that it never overwrites a cached map."""
    if not getattr(module, "inplace", False):
        return module
    copies = {nn.ReLU: F.relu, nn.ReLU6: F.relu6, nn.SiLU: F.silu, nn.Mish: F.mish, nn.Hardswish: F.hardswish}
    kind = type(module)
    if kind in copies:
        return copies[kind]
    return lambda x: module(x.clone())


def _pool(module: nn.Module, fill: float, function: Callable) -> Local:
    kernel = _pair(module.kernel_size)
    stride = _pair(module.stride)
    return Local(
        kernel,
        stride,
        _pair(module.padding),
        fill,
        True,
        partial(function, kernel_size=kernel, stride=stride),
    )


def _function_convolution(node: fx.Node, constants: dict) -> Local | None:
    """Return ``conv2d`` called as a function; its kernel may have been computed (group convolutions)."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = {**dict(zip(names, node.args)), **node.kwargs}
    weight, bias = given.get("weight"), given.get("bias")
    weight = constants.get(weight) if isinstance(weight, fx.Node) else weight
    bias = constants.get(bias) if isinstance(bias, fx.Node) else bias
    if not isinstance(weight, Tensor):
        return None
    settings = [given.get(name, default) for name, default in zip(names[3:], (1, 0, 1, 1))]
    return _convolution(weight, bias, *settings)


def _convolution(weight: Tensor, bias: Tensor | None, stride, padding, dilation, groups: int) -> Local | None:
    stride, dilation = _pair(stride), _pair(dilation)
    kernel = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:]))
    if padding == "valid":
        padding = 0
    if padding == "same":
        if any(extent % 2 == 0 for extent in kernel):
            return None
        padding = tuple(extent // 2 for extent in kernel)
    weight = weight.detach().contiguous(memory_format=torch.channels_last)
    bias = None if bias is None else bias.detach()
    apply = partial(F.conv2d, weight=weight, bias=bias, stride=stride, dilation=dilation, groups=groups)
    return Local(kernel, stride, _pair(padding), 0.0, False, apply)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
