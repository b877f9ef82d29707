"""What each call of a network does to a map: look at a window, treat every position alone, or neither."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from galshift.audit.tracer import EXAMPLE

_POINTWISE_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
    nn.Softplus, nn.Hardtanh, nn.Hardswish, nn.Identity, nn.Dropout, nn.Dropout2d,
)  # fmt: skip
_POINTWISE_FUNCTIONS = frozenset(
    {F.relu, torch.relu, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, torch.sigmoid, torch.tanh, F.softplus}
)
_POINTWISE_METHODS = {"relu": torch.relu, "relu_": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}
_POOLS = ("max_pool2d", "boolean_dispatch")
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


@dataclass(frozen=True)
class View:
    """How a map (B, C, H, W) is shaped in the network's own code.

    Attributes
    ----------
    fields : tuple of int
        Empty for the plain map; (F, G) for channels split into F fields of G, (B, F, G, H, W).
    stacked : bool
        True where the G parts of a field then stand on one another, (B, F, G H, W).
    """

    fields: tuple[int, ...] = ()
    stacked: bool = False


PLAIN = View()


def image_arguments(node: fx.Node, depends: set[fx.Node]) -> list[fx.Node]:
    """Return the image-dependent inputs of `node` in order, repeated where it reads one twice."""
    flat = [item for arg in node.args for item in (arg if isinstance(arg, list | tuple) else [arg])]
    return [item for item in flat if isinstance(item, fx.Node) and item in depends]


def operation_of(
    node: fx.Node, modules: dict, view: View, depends: set[fx.Node]
) -> tuple[Local | Pointwise, View] | None:
    """Return what `node` does to maps in `view` and the view it leaves, or None where it sees further."""
    reshaped = _reshaped(node, view)
    if reshaped is not None:
        return Pointwise(_unchanged), reshaped
    if node.op == "call_module":
        operation = _module_operation(modules[node.target], view)
    elif node.op == "call_method":
        plain = node.target in _POINTWISE_METHODS and len(node.args) == 1 and not node.kwargs
        operation = Pointwise(_POINTWISE_METHODS[node.target]) if plain else None
    elif node.op == "call_function":
        operation = _function_operation(node, depends)
    else:
        operation = None
    needs_plain = isinstance(operation, Local) or (operation is not None and operation.apply is _concatenate)
    return None if operation is None or (needs_plain and view != PLAIN) else (operation, view)


def _function_operation(node: fx.Node, depends: set[fx.Node]) -> Local | Pointwise | None:
    arguments = image_arguments(node, depends)
    if node.target in _SUMS and len(arguments) == 2 and not node.kwargs:
        return Pointwise(torch.add)
    if node.target is torch.cat and node.kwargs.get("dim", (*node.args, 0)[1]) == 1:
        return Pointwise(_concatenate)
    if node.target in _POINTWISE_FUNCTIONS and len(arguments) == 1:
        kwargs = {key: value for key, value in node.kwargs.items() if key != "inplace"}
        return Pointwise(partial(node.target, **kwargs)) if len(node.args) == 1 else None
    if node.target in (F.conv2d, torch.conv2d) and len(arguments) == 1:
        return _function_convolution(node)
    if getattr(node.target, "__name__", "") in _POOLS and len(arguments) == 1:
        return _function_pool(node)
    return None


def _reshaped(node: fx.Node, view: View) -> View | None:
    """Return the view after `node`, where all it does is to split or join channels."""
    if node.op != "call_method" or node.target not in ("flatten", "unflatten") or node.kwargs:
        return None
    if node.target == "flatten":
        span = tuple(node.args[1:])
        if view.fields and not view.stacked:
            return {(1, 2): PLAIN, (2, 3): View(view.fields, stacked=True)}.get(span)
        return None
    axis, after = node.args[1], tuple(node.meta[EXAMPLE].shape[1:])
    if axis == 1 and view == PLAIN and len(after) == 4:
        return View(after[:2])
    return View(view.fields) if axis == 2 and view.stacked and after[:2] == view.fields else None


def _unchanged(x: Tensor) -> Tensor:
    return x


def _concatenate(*maps: Tensor) -> Tensor:
    return torch.cat(maps, dim=1)


def _module_operation(module: nn.Module, view: View) -> Local | Pointwise | None:
    """Return what a leaf module does in evaluation mode."""
    if module.training:
        return None
    if isinstance(module, nn.Conv2d) and module.padding_mode == "zeros":
        return _convolution(
            module.weight, module.bias, module.stride, module.padding, module.dilation, module.groups
        )
    if isinstance(module, nn.MaxPool2d) and not (module.ceil_mode or module.return_indices):
        return _max_pool(module.kernel_size, module.stride, module.padding, module.dilation)
    if isinstance(module, nn.AvgPool2d) and not module.ceil_mode and module.divisor_override is None:
        padded = any(_pair(module.padding))
        if module.count_include_pad or not padded:
            return _pool(module.kernel_size, module.stride, module.padding, 0.0, F.avg_pool2d)
    if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) and module.running_mean is not None:
        return Pointwise(_batch_norm(module, view.fields[1] if view.fields else 1))
    if type(module) in _POINTWISE_MODULES:
        return Pointwise(_not_in_place(module))
    return None


def _batch_norm(module: nn.Module, repeats: int) -> Callable[[Tensor], Tensor]:
    """Return batch norm in evaluation on the plain map, each constant serving `repeats` channels in a row."""
    if repeats == 1:
        return module
    spread = [
        None if value is None else value.detach().repeat_interleave(repeats)
        for value in (module.running_mean, module.running_var, module.weight, module.bias)
    ]
    return partial(
        F.batch_norm,
        running_mean=spread[0],
        running_var=spread[1],
        weight=spread[2],
        bias=spread[3],
        eps=module.eps,
    )


def _not_in_place(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the activation such that it never overwrites a cached map."""
    if not getattr(module, "inplace", False):
        return module
    copies = {nn.ReLU: F.relu, nn.ReLU6: F.relu6, nn.SiLU: F.silu, nn.Mish: F.mish, nn.Hardswish: F.hardswish}
    kind = type(module)
    if kind in copies:
        return copies[kind]
    return lambda x: module(x.clone())


def _pool(kernel, stride, padding, fill: float, function: Callable) -> Local:
    kernel = _pair(kernel)
    stride = kernel if stride in (None, ()) else _pair(stride)
    apply = partial(function, kernel_size=kernel, stride=stride)
    return Local(kernel, stride, _pair(padding), fill, True, apply)


def _max_pool(kernel, stride, padding, dilation) -> Local | None:
    return _pool(kernel, stride, padding, -torch.inf, F.max_pool2d) if _pair(dilation) == (1, 1) else None


def _function_pool(node: fx.Node) -> Local | None:
    """Return ``max_pool2d`` called as a function."""
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = {**dict(zip(names, node.args)), **node.kwargs}
    if given.get("ceil_mode") or given.get("return_indices"):
        return None
    settings = (given.get(name, default) for name, default in zip(names[1:5], (None, None, 0, 1)))
    return _max_pool(*settings)


def _function_convolution(node: fx.Node) -> Local | None:
    """Return ``conv2d`` called as a function; its kernel may have been computed (group convolutions)."""
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    given = {**dict(zip(names, node.args)), **node.kwargs}
    weight, bias = (
        value.meta[EXAMPLE] if isinstance(value, fx.Node) else value
        for value in (given.get("weight"), given.get("bias"))
    )
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
